// Client connections within the limit of open files.
#pragma once

#include "router/io/router_settings.hpp"

namespace svc::router {

/// The settings with max_connections lowered to what the process has descriptors for (connection_budget.hpp); says so in
/// the log.
[[nodiscard]] RouterSettings within_the_open_file_limit(RouterSettings settings);

}  // namespace svc::router
