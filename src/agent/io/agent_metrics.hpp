// The metrics of all services of an agent, by name, in one place: families `infinilm_agent_*`, each series with the label `service`.
#pragma once

#include "agent/io/instance_view.hpp"
#include "common/io/metrics.hpp"

namespace svc::agent {

/// One per agent; every service's /metrics shows all of them. One thread.
class AgentMetrics {
 public:
  /// From now on each text() takes the service's view. It must live as long as the last text(), and has a name of its own.
  void follow(const InstancePages& instance);
  Metrics& all() { return metrics_; }

 private:
  Metrics metrics_;
};

}  // namespace svc::agent
