// The durable half of RegistryState: plan, store (the caller's part), apply.
#include <algorithm>
#include <utility>

#include "common/core/endpoint.hpp"
#include "registry/core/messages.hpp"
#include "registry/core/registry_state.hpp"

namespace svc::registry {

namespace {

std::string address_of(const wire::ServiceSpec& spec) { return wire::endpoint_of(spec).to_string(); }

bool same_address(const wire::ServiceSpec& a, const wire::ServiceSpec& b) {
  return a.port == b.port && same_host(a.host, b.host);
}

/// What the log line of an update says beside the name.
std::string difference(const wire::ServiceSpec& before, const wire::ServiceSpec& after) {
  std::string text;
  if (before.status != after.status) text = "status '" + before.status + "' -> '" + after.status + "'";
  if (!same_address(before, after)) {
    if (!text.empty()) text += ", ";
    text += "address " + address_of(before) + " -> " + address_of(after);
  }
  return text;
}

bool probed_differently(const ServiceEntry& before, const wire::ServiceSpec& after,
                        const std::string& health_url_after) {
  return !same_address(before.stored.spec, after) || before.stored.spec.url != after.url ||
         before.facts.health_url != health_url_after;
}

Error held(const std::string& name, const std::string& by, Duration remaining) {
  const auto seconds = std::chrono::ceil<std::chrono::seconds>(remaining);
  return conflict("Service '" + name + "' is already registered by " + by +
                  "; unregister it first or wait until its lease ends in " + std::to_string(seconds.count()) + " s");
}

}  // namespace

std::size_t metadata_bytes_of(const wire::ServiceSpec& spec) {
  std::size_t bytes = spec.metadata_json.size();
  for (const auto& model : spec.models) bytes += model.size();
  return bytes;
}

// What does not grow is never refused: a limit that was lowered must not keep agents from coming back.
std::optional<Error> RegistryState::refuse_metadata(const wire::ServiceSpec& spec, const Node* present,
                                                    InFlight in_flight) const {
  const std::size_t before = present == nullptr ? 0 : present->metadata_bytes;
  const std::size_t after = metadata_bytes_of(spec);
  const std::size_t total = metadata_bytes_ + in_flight.metadata_bytes - before + after;
  if (after <= before || total <= settings_.max_metadata_total_bytes) return std::nullopt;
  return limit_exceeded("The registry is full: the metadata and models of all services would take " +
                        std::to_string(total) + " bytes, more than the limit of " +
                        std::to_string(settings_.max_metadata_total_bytes) + " (max_metadata_total_bytes)");
}

Result<Change> RegistryState::plan_register(wire::ServiceSpec spec, TimePoint now, InFlight in_flight, Owner owner) {
  observe(now);
  Change change;
  change.cause = Change::Cause::registered;
  change.service.generation = generation_ + 1;
  const Node* const present = find_node(spec.name);
  if (present != nullptr) {
    const bool is_owner = owner && *owner == present->stored.generation;
    if (!is_owner && lease_alive(*present, now) && !same_address(present->stored.spec, spec)) {
      change.name_conflict = true;
      change.previous_address = address_of(present->stored.spec);
    }
    // From the present address it may be another generation: of a registration whose answer was lost.
    if (change.name_conflict && owner) {
      ++name_conflicts_;
      return taken_since(spec.name, present->stored.generation, *owner);
    }
    if (change.name_conflict && settings_.on_name_conflict == NameConflictPolicy::reject) {
      ++name_conflicts_;
      return held(spec.name, change.previous_address, lease_remaining(*present, now));
    }
  } else if (size() + in_flight.new_names >= settings_.max_services) {
    return limit_exceeded("The registry is full: " + std::to_string(size() + in_flight.new_names) +
                          " services are registered, the limit (max_services)");
  }
  if (auto refusal = refuse_metadata(spec, present, in_flight)) return *std::move(refusal);
  change.service.spec = std::move(spec);
  return change;
}

Result<Change> RegistryState::plan_update(std::string_view name, const wire::ServicePatch& patch, TimePoint now,
                                          InFlight in_flight) {
  observe(now);
  const Node* const node = find_node(name);
  if (node == nullptr) return no_such_service(name);
  if (patch.generation && *patch.generation != node->stored.generation) {
    return taken_since(name, node->stored.generation, *patch.generation);
  }
  Change change;
  change.cause = Change::Cause::updated;
  change.service = StoredService{wire::patched(node->stored.spec, patch), node->stored.generation};
  if (!same_address(node->stored.spec, change.service.spec)) {
    // As a registration from there would be: whoever was there before is not the owner any more.
    change.service.generation = generation_ + 1;
    if (!patch.generation && lease_alive(*node, now)) {
      change.name_conflict = true;
      change.previous_address = address_of(node->stored.spec);
    }
    if (change.name_conflict && settings_.on_name_conflict == NameConflictPolicy::reject) {
      ++name_conflicts_;
      return held(node->stored.spec.name, change.previous_address, lease_remaining(*node, now));
    }
  }
  if (auto refusal = refuse_metadata(change.service.spec, node, in_flight)) return *std::move(refusal);
  return change;
}

Result<Change> RegistryState::plan_remove(std::string_view name, TimePoint now, Owner owner) {
  observe(now);
  const Node* const node = find_node(name);
  if (node == nullptr) return no_such_service(name);
  if (owner && *owner != node->stored.generation) return taken_since(name, node->stored.generation, *owner);
  Change change;
  change.kind = Change::Kind::remove;
  change.cause = Change::Cause::unregistered;
  change.renews_lease = false;
  change.service.spec.name = node->stored.spec.name;
  change.service.generation = node->stored.generation;
  return change;
}

std::vector<Change> RegistryState::plan_sweep(TimePoint now, const std::function<std::uint64_t()>& random) {
  observe(now);
  std::vector<const Node*> candidates;
  for (const auto& node : order_) {
    if (node && stale(*node, now)) candidates.push_back(node.get());
  }
  const std::size_t allowed = guard_.allowance(now, size(), alive_, candidates.size());
  std::vector<Change> changes;
  changes.reserve(allowed);
  for (std::size_t i = 0; i < allowed; ++i) {
    // Fisher-Yates as far as needed: whole groups of services (one host's, one model's) must not go in one sweep.
    const std::size_t left = candidates.size() - i;
    std::swap(candidates[i], candidates[i + static_cast<std::size_t>(random() % left)]);
    Change change;
    change.kind = Change::Kind::remove;
    change.cause = Change::Cause::expired;
    change.renews_lease = false;
    change.service.spec.name = candidates[i]->stored.spec.name;
    change.service.generation = candidates[i]->stored.generation;
    changes.push_back(std::move(change));
  }
  return changes;
}

bool RegistryState::still_stale(const Change& removal, TimePoint now) const {
  const Node* const node = find_node(removal.service.spec.name);
  return node != nullptr && node->stored.generation == removal.service.generation && stale(*node, now);
}

std::vector<Event> RegistryState::apply(const Change& change, TimePoint now, WallTime wall_now) {
  observe(now);
  switch (change.kind) {
    case Change::Kind::put: return apply_put(change, now, wall_now);
    case Change::Kind::remove: return apply_remove(change, now);
  }
  return {};
}

std::vector<Event> RegistryState::apply_put(const Change& change, TimePoint now, WallTime wall_now) {
  std::vector<Event> events;
  const auto& spec = change.service.spec;
  generation_ = std::max(generation_, change.service.generation);
  if (change.name_conflict) ++name_conflicts_;
  Node& node = place_of(spec.name);

  if (change.cause == Change::Cause::registered) {
    if (node.lease_reported_dead) ++alive_;
    node.lease_reported_dead = false;
    restart_health(node);
    fill(node, change.service);
    node.lease.renewed_at = now;
    node.last_heartbeat = wall_now;
    deadlines_.set(node, node.lease.ends(grace_from_));
    std::string detail = address_of(spec);
    if (change.name_conflict) detail += ", in place of the live registration of " + change.previous_address;
    raise(node, EventKind::registered, std::move(detail), events);
    return events;
  }

  if (change.service != node.stored) {
    std::string detail = difference(node.stored.spec, spec);
    const bool never_unhealthy = spec.max_fails_given && spec.max_fails == 0;
    if (never_unhealthy || probed_differently(node, spec, wire::facts_of(spec.metadata_json).health_url))
      restart_health(node);
    fill(node, change.service);
    // Shorter terms may end the lease before the deadline that the heap knows.
    if (!node.lease_reported_dead) deadlines_.set(node, node.lease.ends(grace_from_));
    raise(node, EventKind::updated, std::move(detail), events);
  }
  if (change.renews_lease) renew(node, now, wall_now, events);
  return events;
}

std::vector<Event> RegistryState::apply_remove(const Change& change, TimePoint now) {
  std::vector<Event> events;
  Node* const node = find_node(change.service.spec.name);
  if (node == nullptr) return events;
  if (change.cause == Change::Cause::expired) {
    if (!still_stale(change, now)) return events;
    raise(*node, EventKind::removed_stale, "no heartbeat for " + in_seconds(now - node->lease.renewed_at), events);
  } else {
    raise(*node, EventKind::unregistered, "", events);
  }
  erase(*node);
  return events;
}

}  // namespace svc::registry
