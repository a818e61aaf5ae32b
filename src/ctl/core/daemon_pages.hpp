// What the pages of the daemons say, as values. Earlier implementations' pages are read too: what they lack is nullopt.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace svc::ctl {

/// The registry's GET /health.
struct RegistryHealth {
  std::string status;  ///< "healthy", "draining"
  std::optional<double> uptime_seconds;
  std::optional<std::int64_t> services, healthy;
  bool warming = false;
  bool removal_on_hold = false;
  std::string store_state;  ///< "ok", "memory", "reset", "failing"; "" = not said
};

/// The router's GET /health.
struct RouterHealth {
  std::string status;  ///< "healthy", "running" (no usable instance), "draining"
  std::optional<double> uptime_seconds;
  std::string usable_of_all;   ///< "2/3"
  std::string registry_state;  ///< "watching", "polling", "connecting", "unreachable", "none"; "" = not said
  std::string registry_error;
  bool panic = false;
};

/// An agent's GET /status; of its /health (or an earlier agent) only `name` and `status`.
struct AgentStatus {
  std::string name;
  std::string state;   ///< "starting", "running", ...; "" = not said
  std::string status;  ///< what the registry is told; of /health "healthy" or that
  std::optional<double> state_seconds, up_seconds, agent_uptime_seconds;
  std::optional<std::int64_t> restarts;
  std::string last_line;           ///< of the engine's output
  std::optional<bool> registered;  ///< the registry knows the engine
  std::optional<std::int64_t> open_connections;
  std::vector<std::string> models;
  std::string last_exit;  ///< why it ended last; "" = it has not
};

// nullopt: the text is no such page.
[[nodiscard]] std::optional<RegistryHealth> parse_registry_health(std::string_view body);
[[nodiscard]] std::optional<RouterHealth> parse_router_health(std::string_view body);
[[nodiscard]] std::optional<AgentStatus> parse_agent_status(std::string_view body);

}  // namespace svc::ctl
