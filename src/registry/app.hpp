// Builds the registry's parts, owns them, and stops them in reverse.
#pragma once

#include <memory>

#include "common/io/daemon.hpp"

namespace svc::registry {

class RegistryConfig;

/// The definition that main() runs.
DaemonDefinition registry_daemon();

std::unique_ptr<DaemonApp> make_registry_app(boost::asio::io_context& io, const RegistryConfig& config);

}  // namespace svc::registry
