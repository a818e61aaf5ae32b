// The status as JSON, for programs.
#pragma once

#include <string>

#include "common/core/clock.hpp"
#include "ctl/core/fleet_status.hpp"

namespace svc::ctl {

/// {"ok","timestamp","daemons":[...],"services":[...],"problems":[...]}, compact; what is not known is null.
[[nodiscard]] std::string status_json(const FleetStatus& fleet, WallTime now);

}  // namespace svc::ctl
