// The status as tables for people.
#pragma once

#include <optional>
#include <string>

#include "ctl/core/fleet_status.hpp"

namespace svc::ctl {

/// Two tables, and a last part that says "All is well." or lists what is not.
[[nodiscard]] std::string status_text(const FleetStatus& fleet);

/// "14s", "3m 20s", "2h 5m", "12d 4h"; "-" when it is not known.
[[nodiscard]] std::string uptime_text(const std::optional<double>& seconds);
/// "<1 ms", "143 ms", "2.4 s"; "-".
[[nodiscard]] std::string latency_text(const std::optional<double>& seconds);

}  // namespace svc::ctl
