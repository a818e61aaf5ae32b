// One random session: the same commands to RegistryState and to the reference, compared after each.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "registry/core/registry_state.hpp"
#include "tests/unit/registry/fixture.hpp"
#include "tests/unit/registry/random_choices.hpp"
#include "tests/unit/registry/reference_model.hpp"

namespace svc::registry::test {

using Names = std::vector<std::string>;

class Session : private RandomChoices {
 public:
  explicit Session(std::uint64_t seed) : RandomChoices(seed) {
    settings_.max_services = 14;
    settings_.event_log_capacity = 64;
    settings_.on_name_conflict = chance(2) ? NameConflictPolicy::reject : NameConflictPolicy::accept;
    settings_.health.healthy_after = 1 + static_cast<int>(below(2));
    state_.emplace(settings_, now_, 0);
    model_.emplace(settings_, now_, 0);
  }

  void command() {
    switch (below(16)) {
      case 0:
      case 1:
      case 2: return do_register();
      case 3: return do_update();
      case 4: return do_remove();
      case 5:
      case 6: return do_heartbeat(any_name());
      case 7:
      case 8: return do_heartbeats();
      case 9:
      case 10: return do_probe();
      case 11:
      case 12: return do_time();
      case 13: return do_sweep();
      case 14: return chance(8) ? do_reconfigure() : do_time();
      default: return chance(8) ? do_restart() : chance(4) ? do_pause() : do_time();
    }
  }

  void compare() {
    // Everything below must agree without a further advance(): reads are const.
    ASSERT_EQ(state_->revision(), model_->first_revision + model_->history.size());
    ASSERT_EQ(state_->size(), model_->services.size());
    ASSERT_EQ(std::pair(state_->alive(), state_->healthy()), std::pair(model_->alive(), model_->told_healthy()));
    ASSERT_EQ(state_->removal_status().on_hold, model_->hold_since.has_value());
    for (const auto& [name, service] : model_->services) {
      const ServiceEntry* entry = state_->find(name);
      ASSERT_NE(entry, nullptr) << name;
      ASSERT_EQ(entry->stored, service.stored);
      ASSERT_EQ(to_string(entry->health.status()), service.health);
      ASSERT_EQ(entry->lease_reported_dead, service.dead);
      ASSERT_EQ(state_->is_healthy(*entry, now_), model_->healthy(service, now_));
      const Duration left = model_->is_alive(service, now_) ? model_->ends(service) - now_ : Duration::zero();
      ASSERT_EQ(state_->lease_remaining(*entry, now_), left);
      ASSERT_EQ(entry->static_json, wire::static_service_json(entry->stored.spec, entry->facts));
      if (!service.dead) {
        ASSERT_LE(state_->next_deadline().value(), model_->ends(service));
      }
    }
    compare_list();
    compare_events();
  }

  /// How often each kind of event came up: a session that never sees one proves nothing about it.
  const std::map<EventKind, int>& raised() const { return raised_; }

 private:
  std::string any_name() { return "s" + std::to_string(below(18)); }

  /// Compares what a command raised with what the model says, and that revisions are contiguous.
  void raised(const std::vector<Event>& events, const Names& expected) {
    Names seen;
    Revision revision = model_->first_revision + model_->history.size();
    for (const auto& event : events) {
      ASSERT_EQ(event.revision, ++revision);
      ++raised_[event.kind];
      seen.push_back(std::string(to_string(event.kind)) + ":" + event.name);
    }
    if (tied_) {  // leases that end at the same moment may be reported in any order
      Names sorted_seen = seen, sorted_expected = expected;
      std::sort(sorted_seen.begin(), sorted_seen.end());
      std::sort(sorted_expected.begin(), sorted_expected.end());
      ASSERT_EQ(sorted_seen, sorted_expected);
    } else {
      ASSERT_EQ(seen, expected);
    }
    model_->history.insert(model_->history.end(), seen.begin(), seen.end());
  }

  void do_register() {
    const auto name = any_name();
    const auto spec = any_spec(name);
    const auto in_flight = static_cast<std::size_t>(below(2));
    model_->see(now_);
    const auto old = model_->services.find(name);
    const bool full = old == model_->services.end() && model_->services.size() + in_flight >= settings_.max_services;
    const bool conflict = old != model_->services.end() && model_->is_alive(old->second, now_) &&
                          (old->second.stored.spec.host != spec.host || old->second.stored.spec.port != spec.port);
    const bool refused = conflict && settings_.on_name_conflict == NameConflictPolicy::reject;
    const auto change = state_->plan_register(spec, now_, InFlight{in_flight});
    conflicts_ += conflict ? 1U : 0U;
    ASSERT_EQ(change.has_error(), full || refused);
    if (!change) {
      ASSERT_EQ(change.error().code, full ? Errc::limit_exceeded : Errc::conflict);
      return;
    }
    ASSERT_EQ(change->name_conflict, conflict);
    ASSERT_EQ(change->service.generation, model_->generation + 1);
    if (chance(10)) {  // the store refused: nothing has happened
      conflicts_ -= conflict ? 1U : 0U;
      return;
    }
    raised(state_->apply(*change, now_, kWallStart), model_->put_registration(change->service, now_));
  }
  void do_update() {
    const auto name = any_name();
    const auto other = any_spec(name);
    wire::ServicePatch patch;
    if (chance(3)) patch.status = other.status;
    if (chance(6)) patch.host = other.host;
    if (chance(6)) patch.metadata_json = other.metadata_json;
    if (chance(6)) patch.heartbeat_interval = other.heartbeat_interval;
    if (chance(6)) patch.max_fails = other.max_fails;
    model_->see(now_);
    const auto old = model_->services.find(name);
    const bool known = old != model_->services.end();
    const bool moves = known && patch.host && *patch.host != old->second.stored.spec.host;
    if (moves && chance(2)) patch.generation = old->second.stored.generation;
    const bool conflict = moves && !patch.generation && model_->is_alive(old->second, now_);
    const bool refused = conflict && settings_.on_name_conflict == NameConflictPolicy::reject;
    const auto change = state_->plan_update(name, patch, now_);
    conflicts_ += conflict ? 1U : 0U;
    ASSERT_EQ(change.has_value(), known && !refused);
    if (!change) return;
    ASSERT_EQ(change->name_conflict, conflict);
    ASSERT_EQ(change->service.generation, moves ? model_->generation + 1 : old->second.stored.generation);
    raised(state_->apply(*change, now_, kWallStart), model_->put_update(change->service, now_));
  }
  void do_remove() {
    const auto name = any_name();
    const auto change = state_->plan_remove(name, now_);
    model_->see(now_);
    ASSERT_EQ(change.has_value(), model_->services.contains(name));
    if (change && chance(2)) raised(state_->apply(*change, now_, kWallStart), model_->remove(name, now_));
  }
  void do_heartbeat(const std::string& name) {
    std::vector<Event> events;
    const bool old_owner = chance(10);
    const ServiceEntry* entry = state_->find(name);
    const std::uint64_t generation = entry == nullptr ? 1 : entry->stored.generation + (old_owner ? 1 : 0);
    const auto ack = state_->heartbeat(name, generation, now_, kWallStart, events);
    model_->see(now_);
    const bool present = model_->services.contains(name);
    ASSERT_EQ(ack.has_value(), present && !old_owner);
    if (!ack) {
      ASSERT_EQ(ack.error().code, present ? Errc::conflict : Errc::not_found);
      return;
    }
    raised(events, model_->heartbeat(name, now_));
    ASSERT_EQ(ack->revision, state_->revision());
    ASSERT_EQ(ack->lease_remaining, model_->ends(model_->services.at(name)) - now_);
  }
  void do_heartbeats() {
    for (const auto& name : model_->list({}, now_)) {
      if (!chance(4)) do_heartbeat(name);
    }
  }
  void do_probe() {
    const auto name = any_name();
    const ServiceEntry* entry = state_->find(name);
    const bool success = chance(2), outdated = chance(10);
    const std::uint64_t run = entry == nullptr ? 1 : entry->health_run - (outdated ? 1 : 0);
    const auto events = state_->record_probe(name, run, success, now_);
    model_->see(now_);
    raised(events, entry == nullptr || outdated ? Names{} : model_->probe(name, success, now_));
  }
  void step(Duration by) {
    now_ += by;
    tied_ = true;
    const auto events = state_->advance(now_);
    raised(events, model_->advance(now_));
    tied_ = false;
  }
  void do_time() {
    const auto steps = below(chance(10) ? 100 : 8);
    for (std::uint64_t i = 0; i < steps; ++i) step(any<Duration, 4>({1ns, 500ms, 1s, settings_.pause_threshold}));
  }
  void do_pause() { step(any<Duration, 3>({settings_.pause_threshold + 1ns, 1min, 1h})); }
  void do_sweep() {
    const auto changes = state_->plan_sweep(now_, [this] { return random_(); });
    ASSERT_EQ(changes.size(), model_->sweep_size(now_));
    for (const auto& change : changes) {
      const auto& name = change.service.spec.name;
      ASSERT_TRUE(model_->services.contains(name) && model_->stale(model_->services.at(name), now_)) << name;
      if (chance(4)) do_heartbeat(name);  // while the store was busy
      const bool still = model_->stale(model_->services.at(name), now_);
      ASSERT_EQ(state_->still_stale(change, now_), still);
      raised(state_->apply(change, now_, kWallStart), still ? model_->remove_stale(name, now_) : Names{});
    }
  }
  void do_reconfigure() {
    settings_.heartbeat_timeout = any<Duration, 3>({10s, 60s, 120s});
    settings_.remove_after = settings_.heartbeat_timeout * 3;
    settings_.health.unhealthy_after = static_cast<std::int64_t>(below(4));
    settings_.health.periodic = !chance(3);
    settings_.removal.max_share = any<double, 3>({0.15, 0.5, 1.0});
    settings_.removal.hold_limit = any<Duration, 2>({1min, 1h});
    raised(state_->reconfigure(settings_), model_->reconfigure(settings_));
  }
  void do_restart() {
    const Revision first = state_->revision() + below(1000);
    now_ += any<Duration, 2>({1s, 10min});
    const auto stored = model_->stored();
    model_.emplace(settings_, now_, first);
    state_.emplace(settings_, now_, first);
    now_ += any<Duration, 2>({0s, 30s});
    model_->grace = model_->last = now_;
    for (const auto& service : stored) {
      model_->put_registration(service, now_);  // its event is not kept: loading is no change
    }
    state_->restore(stored, now_, kWallStart);
    conflicts_ = 0;
  }

  void compare_list() {
    ServiceFilter filter;
    if (chance(3)) filter.status = any<const char*, 2>({"running", "draining"});
    if (chance(3)) filter.type = any<const char*, 2>({"openai-api", ""});
    if (chance(3)) filter.model = any<const char*, 3>({"m1", "m2", "m3"});
    if (chance(3)) filter.host = any<const char*, 3>({"10.0.0.1", "gpu3", "nowhere"});
    if (chance(3)) filter.healthy = chance(2);
    Names names;
    state_->for_each(filter, now_, [&](const ServiceEntry& entry, bool) { names.push_back(entry.stored.spec.name); });
    ASSERT_EQ(names, model_->list(filter, now_));
    const RegistryStats stats = state_->stats(now_);
    ServiceFilter healthy_only;
    healthy_only.healthy = true;
    ASSERT_EQ(stats.healthy, model_->list(healthy_only, now_).size());
    ASSERT_EQ(stats.total, model_->services.size());
    ASSERT_EQ(stats.name_conflicts, conflicts_);
  }
  void compare_events() {
    const Revision newest = state_->revision();
    const Revision since = newest + 2 - std::min<Revision>(newest + 2, below(90));
    const auto events = state_->events().after(since);
    const auto kept = std::min<Revision>(model_->history.size(), settings_.event_log_capacity);
    ASSERT_EQ(events.has_value(), since <= newest && newest - since <= kept) << since << " of " << newest;
    if (!events) return;
    ASSERT_EQ(events->size(), newest - since);
    for (std::size_t i = 0; i < events->size(); ++i) {
      const Event& event = *(*events)[i];
      ASSERT_EQ(event.revision, since + i + 1);
      ASSERT_EQ(std::string(to_string(event.kind)) + ":" + event.name,
                model_->history.at(static_cast<std::size_t>(event.revision - model_->first_revision - 1)));
    }
  }

  StateSettings settings_;
  TimePoint now_ = kDriverStart;
  std::optional<RegistryState> state_;
  std::optional<ReferenceModel> model_;
  std::uint64_t conflicts_ = 0;
  bool tied_ = false;
  std::map<EventKind, int> raised_;
};

}  // namespace svc::registry::test
