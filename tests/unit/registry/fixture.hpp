// What the registry's unit tests share: virtual time, short ways to make services, and a state that is driven through
// plan and apply as the daemon drives it.
#pragma once

#include <algorithm>
#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "common/core/wire/registry_api.hpp"
#include "registry/core/registry_state.hpp"

namespace svc::registry::test {

using namespace std::chrono_literals;

inline constexpr TimePoint kDriverStart{std::chrono::hours(1000)};
inline constexpr WallTime kWallStart{std::chrono::seconds(1'790'000'000)};

inline wire::ServiceSpec make_spec(std::string name, std::string host = "10.0.0.1", std::uint16_t port = 8000) {
  wire::ServiceSpec spec;
  spec.name = std::move(name);
  spec.url = "http://" + host + ":" + std::to_string(port);
  spec.hostname = host + ".example";
  spec.host = std::move(host);
  spec.port = port;
  spec.status = "running";
  spec.timestamp = "2026-11-23T12:00:00.000000Z";
  return spec;
}

inline std::string kinds(const std::vector<Event>& events) {
  std::string text;
  for (const auto& event : events) {
    if (!text.empty()) text += ' ';
    text += to_string(event.kind);
    text += ':';
    text += event.name;
  }
  return text;
}

/// A RegistryState with its own clock. Time passes in steps of a second, as the daemon's tick lets it.
class Driver {
 public:
  explicit Driver(StateSettings settings = {}, Revision first_revision = 0)
      : state(settings, kDriverStart, first_revision) {}

  std::vector<Event> enroll(const wire::ServiceSpec& spec) {
    const auto change = state.plan_register(spec, now);
    return change ? state.apply(*change, now, wall()) : std::vector<Event>{};
  }
  std::vector<Event> update(std::string_view name, const wire::ServicePatch& patch) {
    const auto change = state.plan_update(name, patch, now);
    return change ? state.apply(*change, now, wall()) : std::vector<Event>{};
  }
  std::vector<Event> remove(std::string_view name) {
    const auto change = state.plan_remove(name, now);
    return change ? state.apply(*change, now, wall()) : std::vector<Event>{};
  }
  std::vector<Event> beat(std::string_view name) {
    std::vector<Event> events;
    (void)state.heartbeat(name, std::nullopt, now, wall(), events);
    return events;
  }
  std::vector<Event> probe(std::string_view name, bool success, int times = 1) {
    std::vector<Event> all;
    for (int i = 0; i < times; ++i) {
      const auto events = state.record_probe(name, state.find(name)->health_run, success, now);
      all.insert(all.end(), events.begin(), events.end());
    }
    return all;
  }
  std::vector<Event> pass(Duration span) {
    std::vector<Event> all;
    const TimePoint end = now + span;
    while (now < end) {
      now = std::min(end, now + 1s);
      const auto events = state.advance(now);
      all.insert(all.end(), events.begin(), events.end());
    }
    return all;
  }
  /// The process was stopped: nobody looked at the clock for that long.
  std::vector<Event> pause(Duration span) {
    now += span;
    return state.advance(now);
  }
  std::vector<Event> sweep() {
    std::vector<Event> all;
    for (const auto& change :
         state.plan_sweep(now, [this] { return random_ = random_ * 6364136223846793005U + 1442695040888963407U; })) {
      const auto events = state.apply(change, now, wall());
      all.insert(all.end(), events.begin(), events.end());
    }
    return all;
  }
  bool healthy(std::string_view name) const { return state.is_healthy(*state.find(name), now); }
  HealthStatus health(std::string_view name) const { return state.find(name)->health.status(); }
  Duration remaining(std::string_view name) const { return state.lease_remaining(*state.find(name), now); }
  std::vector<std::string> names(const ServiceFilter& filter = {}) const {
    std::vector<std::string> result;
    state.for_each(filter, now, [&](const ServiceEntry& entry, bool) { result.push_back(entry.stored.spec.name); });
    return result;
  }
  WallTime wall() const {
    return kWallStart + std::chrono::duration_cast<std::chrono::microseconds>(now - kDriverStart);
  }

  TimePoint now = kDriverStart;
  RegistryState state;

 private:
  std::uint64_t random_ = 1;
};

}  // namespace svc::registry::test
