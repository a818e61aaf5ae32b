// What the health monitor knows of one incarnation of an instance. For its own parts only.
#pragma once

#include "router/io/health_monitor.hpp"

namespace svc::router {

struct HealthMonitor::Watched {
  MonitorTarget target;
  HealthJudge judge;
  HungWatch hung;
  ProbeNote note;
  TimePoint next_probe{}, move_again{};
  bool probing = false;
  bool gone = false;  // it is here for its last requests
  bool has_address = true;
  bool ejected = false;
  bool came_again = false;  // the incarnation before this one was out
};

}  // namespace svc::router
