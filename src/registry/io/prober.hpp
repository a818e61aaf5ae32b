// Probes services: periodically, in parallel, spread over the interval; and one at once on demand.
#pragma once

#include <string>

#include "common/core/counted.hpp"
#include "common/io/http_client.hpp"
#include "common/io/probe.hpp"
#include "common/io/random.hpp"
#include "common/io/task_group.hpp"
#include "registry/core/probe_schedule.hpp"
#include "registry/core/probe_target.hpp"
#include "registry/core/registry_state.hpp"
#include "registry/io/event_publisher.hpp"

namespace svc::registry {

struct ProberSettings {
  Duration interval{};  ///< 0 = only on demand
  Duration timeout{};
  std::size_t concurrency = 64;
};

class Prober {
 public:
  Prober(asio::any_io_executor executor, RegistryState& state, EventPublisher& publisher, RegistryMetrics& metrics,
         HttpClient& client, Random& random, ProberSettings settings);

  void start(TaskGroup& tasks);
  void reconfigure(ProberSettings settings);
  /// Ends the periodic work; probes in flight end within their time-out.
  void stop();

  /// As many on-demand probes run as may run at once: refuse more.
  bool busy() const { return on_demand_ >= settings_.concurrency; }
  /// Probes now and feeds the result into the state. `entry` need not outlive the call's first suspension.
  asio::awaitable<ProbeOutcome> probe_on_demand(const ServiceEntry& entry);

 private:
  class End;
  asio::awaitable<void> run();
  asio::awaitable<void> probe_one(std::string name, Counted place);
  asio::awaitable<ProbeOutcome> probe_now(const ServiceEntry& entry);
  asio::awaitable<ProbeOutcome> try_targets(std::vector<ProbeTarget> targets);
  void follow(const Event& event);
  void start_due(TimePoint now);

  asio::any_io_executor executor_;
  RegistryState& state_;
  EventPublisher& publisher_;
  RegistryMetrics& metrics_;
  HttpClient& client_;
  ProberSettings settings_;
  ProbeSchedule schedule_;
  Timer wake_;
  TaskGroup* tasks_ = nullptr;
  std::size_t in_flight_ = 0;  ///< periodic ones
  std::size_t on_demand_ = 0;
  bool stopped_ = false;
  Logger log_{"probe"};
};

}  // namespace svc::registry
