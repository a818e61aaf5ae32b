#include "agent/io/agent_metrics.hpp"

#include <array>
#include <chrono>
#include <limits>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "agent/core/exit_outcome.hpp"
#include "agent/core/instance_machine.hpp"
#include "common/core/duration_text.hpp"

namespace svc::agent {
namespace {

constexpr std::array kStates{InstanceState::idle,     InstanceState::port_taken,  InstanceState::starting,
                             InstanceState::running,  InstanceState::unhealthy,   InstanceState::draining,
                             InstanceState::stopping, InstanceState::backing_off, InstanceState::failed,
                             InstanceState::stopped};

/// The series of one service. A value that is not known has no series at first, and is NaN when it was known before.
class ServiceSeries {
 public:
  ServiceSeries(Metrics& metrics, const InstancePages& instance)
      : metrics_(metrics), instance_(instance), name_(instance.settings().name) {}

  void refresh() {
    const InstanceView view = instance_.view();
    for (const InstanceState state : kStates) {
      gauge("state", "1 for the state that the service is in", view.state == to_string(state),
            {{"state", std::string(to_string(state))}});
    }
    gauge("ready", "1 while the engine may take work", view.ready);
    count("restarts_total", "Restarts after a failure", view.restarts);
    for (const ExitKind kind : kExitKinds) {  // all of them: a series that begins with 1 shows no increase
      const std::string reason(word_of(kind));
      const auto found = view.exit_counts.find(reason);
      count("exits_total", "Ends of the engine's processes, by reason",
            found == view.exit_counts.end() ? 0 : found->second, {{"reason", reason}});
    }
    if (view.ready_for > Duration::zero()) {
      start_seconds_ = to_seconds(view.up_for - view.ready_for);
    }
    known("start_seconds", "Time that the last start took until the engine was ready", start_seconds_);
    gauge("engine_uptime_seconds", "Time since the present start of the engine; 0 while it does not run",
          to_seconds(view.up_for));
    gauge("ready_seconds", "Time since the engine became ready; 0 while it is not", to_seconds(view.ready_for));
    gauge("uptime_seconds", "Time that the agent has looked after the service",
          std::chrono::duration<double>(wall_now() - view.agent_started).count());
    known("engine_resident_bytes", "Memory of the engine's processes that is in RAM", view.load.rss_bytes);
    known("engine_gpu_memory_bytes", "GPU memory of the engine's processes", view.load.gpu_memory_bytes);
    known("engine_open_connections", "Connections that are open at the engine's port", view.load.open_connections);
    gauge("registered", "1 while the registry knows the entry", view.registered, {{"entry", "agent"}});
    gauge("registered", "1 while the registry knows the entry", view.engine_registered, {{"entry", "engine"}});
    gauge("probe_failures", "Liveness probes in a row that the engine did not pass", view.probe_failures);
    count("log_lines_lost_total", "Lines of the engine that could not be written to its log", view.log_lines_lost);
  }

 private:
  MetricLabels with_service(MetricLabels labels) const {
    labels.emplace("service", name_);
    return labels;
  }
  template <class Value>
  void gauge(const char* name, const char* help, Value value, MetricLabels labels = {}) {
    metrics_.gauge(kPrefix + name, help, with_service(std::move(labels))).set(static_cast<double>(value));
  }
  template <class Value>
  void count(const char* name, const char* help, Value value, MetricLabels labels = {}) {
    const Counter counter = metrics_.counter(kPrefix + name, help, with_service(std::move(labels)));
    counter.add(static_cast<double>(value) - counter.value());
  }
  template <class Value>
  void known(const char* name, const char* help, const std::optional<Value>& value) {
    if (value || once_known_.contains(name)) {
      once_known_.emplace(name);
      gauge(name, help, value ? static_cast<double>(*value) : std::numeric_limits<double>::quiet_NaN());
    }
  }

  static inline const std::string kPrefix = "infinilm_agent_";
  Metrics& metrics_;
  const InstancePages& instance_;
  std::string name_;
  std::optional<double> start_seconds_;
  std::set<std::string, std::less<>> once_known_;
};

}  // namespace

void AgentMetrics::follow(const InstancePages& instance) {
  metrics_.add_collector([series = std::make_shared<ServiceSeries>(metrics_, instance)] { series->refresh(); });
}

}  // namespace svc::agent
