#include "registry/core/registry_state.hpp"

#include <algorithm>
#include <utility>

#include "registry/core/messages.hpp"

namespace svc::registry {

RegistryState::RegistryState(StateSettings settings, TimePoint now, Revision first_revision,
                             std::uint64_t first_generation)
    : settings_(settings),
      log_(settings.event_log_capacity, first_revision),
      guard_(settings.removal),
      grace_from_(now),
      observed_(now),
      // At least one revision per registration: above every earlier boot's generations.
      generation_(std::max(first_revision, first_generation)) {}

void RegistryState::restore(std::vector<StoredService> services, TimePoint now, WallTime wall_now) {
  // Reading the store may have taken longer than a pause; nobody is to blame for that either.
  observed_ = std::max(observed_, now);
  grace_from_ = std::max(grace_from_, now);
  order_.reserve(order_.size() + services.size());
  index_.reserve(index_.size() + services.size());
  deadlines_.reserve(deadlines_.size() + services.size());
  for (auto& service : services) {
    generation_ = std::max(generation_, service.generation);
    Node& node = place_of(service.spec.name);
    fill(node, std::move(service));
    node.lease.renewed_at = now;
    node.last_heartbeat = wall_now;
    node.revision = log_.revision();
    deadlines_.set(node, node.lease.ends(grace_from_));
    count(node);
  }
}

std::vector<Event> RegistryState::reconfigure(const StateSettings& settings) {
  std::vector<Event> events;
  const bool probes_ended = settings_.health.periodic && !settings.health.periodic;
  const bool probes_condemn = settings.health.unhealthy_after > 0;
  settings_ = settings;
  log_.set_capacity(settings.event_log_capacity);
  guard_.reconfigure(settings.removal);
  for (const auto& node : order_) {
    if (!node) continue;
    node->lease.terms = terms_of(node->stored.spec);
    if (!node->lease_reported_dead) deadlines_.set(*node, node->lease.ends(grace_from_));
    const bool for_ever = probes_ended || (!probes_condemn && !node->stored.spec.max_fails_given);
    if (for_ever && node->health.status() == HealthStatus::unhealthy) {
      restart_health(*node);
      raise(*node, EventKind::became_healthy,
            probes_ended ? "services are not probed any more" : "probes make no service unhealthy any more", events);
    }
  }
  return events;
}

void RegistryState::observe(TimePoint now) {
  if (now <= observed_) return;
  if (now - observed_ > settings_.pause_threshold) {
    grace_from_ = now;
    ++pauses_;
  }
  observed_ = now;
}

RegistryState::Node* RegistryState::find_node(std::string_view name) const {
  const auto found = index_.find(name);
  return found == index_.end() ? nullptr : found->second;
}

RegistryState::Node& RegistryState::place_of(const std::string& name) {
  if (Node* present = find_node(name)) return *present;
  auto created = std::make_unique<Node>();
  created->place = order_.size();
  Node& node = *created;
  restart_health(node);
  order_.push_back(std::move(created));
  index_.emplace(name, &node);
  ++alive_;
  return node;
}

void RegistryState::restart_health(Node& node) {
  node.health = Health{};
  node.health_run = ++health_runs_;
}

void RegistryState::erase(Node& node) {
  constexpr std::size_t kWorthCompacting = 64;
  deadlines_.withdraw(node);
  if (!node.lease_reported_dead) --alive_;
  if (node.counted_healthy) --healthy_;
  metadata_bytes_ -= node.metadata_bytes;
  index_.erase(index_.find(node.stored.spec.name));
  order_[node.place].reset();
  if (order_.size() < kWorthCompacting || order_.size() < 2 * index_.size()) return;
  std::erase(order_, nullptr);
  for (std::size_t i = 0; i < order_.size(); ++i) order_[i]->place = i;
}

void RegistryState::fill(Node& node, StoredService stored) {
  node.stored = std::move(stored);
  metadata_bytes_ -= node.metadata_bytes;
  node.metadata_bytes = metadata_bytes_of(node.stored.spec);
  metadata_bytes_ += node.metadata_bytes;
  node.facts = wire::facts_of(node.stored.spec.metadata_json);
  node.lease.terms = terms_of(node.stored.spec);
  node.static_json = wire::static_service_json(node.stored.spec, node.facts);
}

LeaseTerms RegistryState::terms_of(const wire::ServiceSpec& spec) const {
  return lease_terms(settings_.heartbeat_timeout, settings_.remove_after, spec.heartbeat_interval, spec.remove_after);
}

bool RegistryState::lease_alive(const ServiceEntry& entry, TimePoint now) const {
  return !entry.lease_reported_dead && entry.lease.alive(now, grace_from_);
}

bool RegistryState::stale(const ServiceEntry& entry, TimePoint now) const {
  return !lease_alive(entry, now) && entry.lease.removable(now, grace_from_);
}

void RegistryState::count(Node& node) {
  const bool healthy = node.stored.spec.status == wire::kStatusRunning && !node.lease_reported_dead &&
                       node.health.status() != HealthStatus::unhealthy;
  if (healthy != node.counted_healthy) healthy ? ++healthy_ : --healthy_;
  node.counted_healthy = healthy;
}

// Whatever makes a service healthy or not raises an event, after the change.
void RegistryState::raise(Node& node, EventKind kind, std::string detail, std::vector<Event>& events) {
  count(node);
  events.push_back(log_.append(kind, node.stored.spec.name, std::move(detail)));
  node.revision = log_.revision();
}

void RegistryState::renew(Node& node, TimePoint now, WallTime wall_now, std::vector<Event>& events) {
  const Duration silence = now - node.lease.renewed_at;
  node.lease.renewed_at = std::max(node.lease.renewed_at, now);
  node.last_heartbeat = wall_now;
  if (!node.lease_reported_dead) return;  // the heap's deadline is early now; advance() corrects it
  node.lease_reported_dead = false;
  ++alive_;
  deadlines_.set(node, node.lease.ends(grace_from_));
  raise(node, EventKind::lease_renewed, "after " + in_seconds(silence) + " of silence", events);
}

Result<HeartbeatAck> RegistryState::heartbeat(std::string_view name, std::optional<std::uint64_t> generation,
                                              TimePoint now, WallTime wall_now, std::vector<Event>& events) {
  observe(now);
  Node* const node = find_node(name);
  if (node == nullptr) return no_such_service(name);
  if (generation && *generation != node->stored.generation) {
    return taken_since(name, node->stored.generation, *generation);
  }
  renew(*node, now, wall_now, events);
  return HeartbeatAck{lease_remaining(*node, now), log_.revision(), node->stored.generation};
}

std::vector<Event> RegistryState::record_probe(std::string_view name, std::uint64_t health_run, bool success,
                                               TimePoint now) {
  observe(now);
  std::vector<Event> events;
  Node* const node = find_node(name);
  if (node == nullptr || node->health_run != health_run) return events;
  const auto& spec = node->stored.spec;
  const std::int64_t unhealthy_after = spec.max_fails_given ? spec.max_fails : settings_.health.unhealthy_after;
  if (!node->health.record(success, unhealthy_after, settings_.health.healthy_after)) return events;
  if (success) {
    raise(*node, EventKind::became_healthy,
          std::to_string(node->health.consecutive_successes()) + " good probes in a row", events);
  } else {
    raise(*node, EventKind::became_unhealthy,
          std::to_string(node->health.consecutive_failures()) + " failed probes in a row", events);
  }
  return events;
}

std::vector<Event> RegistryState::advance(TimePoint now) {
  observe(now);
  std::vector<Event> events;
  while (!deadlines_.empty() && deadlines_.earliest() <= now) {
    Node& node = static_cast<Node&>(deadlines_.earliest_owner());
    const TimePoint ends = node.lease.ends(grace_from_);
    if (ends > deadlines_.earliest()) {  // renewed since; also when it has ended, so that events come in order of time
      deadlines_.set(node, ends);
      continue;
    }
    deadlines_.withdraw(node);
    node.lease_reported_dead = true;
    --alive_;
    raise(node, EventKind::lease_expired, "no heartbeat for " + in_seconds(now - node.lease.renewed_at), events);
    guard_.lease_expired(now, node.lease.terms.alive_for, size(), alive_);
  }
  guard_.review(now, size(), alive_);
  return events;
}

std::optional<TimePoint> RegistryState::next_deadline() const {
  if (deadlines_.empty()) return std::nullopt;
  return deadlines_.earliest();
}

const ServiceEntry* RegistryState::find(std::string_view name) const { return find_node(name); }

bool RegistryState::is_healthy(const ServiceEntry& entry, TimePoint now) const {
  return entry.stored.spec.status == wire::kStatusRunning && lease_alive(entry, now) &&
         entry.health.status() != HealthStatus::unhealthy;
}

Duration RegistryState::lease_remaining(const ServiceEntry& entry, TimePoint now) const {
  return lease_alive(entry, now) ? entry.lease.ends(grace_from_) - now : Duration::zero();
}

}  // namespace svc::registry
