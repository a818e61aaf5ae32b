// The agent as a daemon: the parts, in phases, and what main() runs.
#pragma once

#include "common/io/daemon.hpp"

namespace svc::agent {

/// What main() runs: name, configuration and app of infinilm-agent.
DaemonDefinition agent_daemon();

}  // namespace svc::agent
