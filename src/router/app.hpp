// Builds the router's parts, owns them, and stops them in reverse.
#pragma once

#include <memory>

#include "common/io/daemon.hpp"

namespace svc::router {

/// The definition that main() runs.
DaemonDefinition router_daemon();

}  // namespace svc::router
