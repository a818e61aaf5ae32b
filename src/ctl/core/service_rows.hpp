// One row for each service, out of what registry, router and agents say of it.
#pragma once

#include <vector>

#include "ctl/core/fleet_status.hpp"

namespace svc::ctl {

/// An agent's two entries (NAME, NAME-server) are one row, NAME. By name.
[[nodiscard]] std::vector<ServiceRow> service_rows(const FleetAnswers& answers);

}  // namespace svc::ctl
