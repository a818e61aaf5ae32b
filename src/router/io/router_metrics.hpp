// The text of /metrics: the process' own numbers (svc::Metrics) and the families `infinilm_router_*`, which are
// summed up from the data threads' counters when somebody asks. Control thread only.
#pragma once

#include <string>

#include "common/io/metrics.hpp"
#include "router/io/own_pages.hpp"

namespace svc::router {

class RouterMetrics {
 public:
  /// Content-Type kMetricsContentType. All series of one upstream carry `upstream` (its name); traffic also `model`.
  /// The series of an instance that is no longer known end with it, those of its next incarnation begin at 0.
  [[nodiscard]] std::string text(const ControlView& view) const;

 private:
  Metrics process_;
};

}  // namespace svc::router
