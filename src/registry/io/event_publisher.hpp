// What happens after the state has changed: one log line per transition, metrics, watchers, and whoever else listens.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "common/io/log.hpp"
#include "common/io/log_limit.hpp"
#include "registry/core/registry_state.hpp"
#include "registry/io/registry_metrics.hpp"
#include "registry/io/watch_hub.hpp"

namespace svc::registry {

class EventPublisher {
 public:
  EventPublisher(RegistryMetrics& metrics, WatchHub& watchers) : metrics_(metrics), watchers_(watchers) {}

  /// Called for each event, after the state has changed.
  void listen(std::function<void(const Event&)> listener) { listeners_.push_back(std::move(listener)); }
  void publish(std::span<const Event> events);
  /// Lets the state see the time and publishes what follows from it: the first step of everything that reads the state.
  void advance(RegistryState& state);

 private:
  void log(const Event& event);

  RegistryMetrics& metrics_;
  std::uint64_t pauses_seen_ = 0;
  WatchHub& watchers_;
  std::vector<std::function<void(const Event&)>> listeners_;
  Logger log_{"registry"};
  LogLimiter limiter_{2000, 200};  // a mass event must not turn into a flood of lines
};

}  // namespace svc::registry
