#include "ctl/core/daemon_pages.hpp"

#include <nlohmann/json.hpp>

#include "ctl/core/page_json.hpp"

namespace svc::ctl {
namespace {

using nlohmann::json;

std::string last_exit_text(const json& page) {
  const json* const exits = member(page, "exits");
  return exits != nullptr && exits->is_array() && !exits->empty() ? text(exits->front(), "text") : "";
}

}  // namespace

std::optional<RegistryHealth> parse_registry_health(std::string_view body) {
  const auto page = page_object(body);
  if (!page || member(*page, "registry") == nullptr) return std::nullopt;
  RegistryHealth health;
  health.status = text(*page, "status");
  health.uptime_seconds = number(*page, "uptime");
  health.services = integer(*page, "registered_services");
  health.healthy = integer(*page, "healthy_services");
  health.warming = flag(*page, "warming");
  if (const json* const removal = member(*page, "removal")) health.removal_on_hold = flag(*removal, "on_hold");
  if (const json* const store = member(*page, "store")) health.store_state = text(*store, "state");
  return health;
}

std::optional<RouterHealth> parse_router_health(std::string_view body) {
  const auto page = page_object(body);
  if (!page || member(*page, "router") == nullptr) return std::nullopt;
  RouterHealth health;
  health.status = text(*page, "status");
  health.uptime_seconds = number(*page, "uptime");
  health.usable_of_all = text(*page, "healthy_services");
  health.registry_state = text(*page, "registry_state");
  health.registry_error = text(*page, "registry_error");
  health.panic = flag(*page, "panic");
  return health;
}

std::optional<AgentStatus> parse_agent_status(std::string_view body) {
  const auto page = page_object(body);
  if (!page) return std::nullopt;
  AgentStatus status;
  status.name = text(*page, "name");
  if (status.name.empty()) status.name = text(*page, "service");  // of /health
  if (status.name.empty()) return std::nullopt;
  status.state = text(*page, "state");
  status.status = text(*page, "status");
  status.state_seconds = number(*page, "state_seconds");
  status.up_seconds = number(*page, "up_seconds");
  status.agent_uptime_seconds = number(*page, "uptime");
  status.restarts = integer(*page, "restarts");
  status.last_line = text(*page, "last_line");
  if (const json* const registered = member(*page, "registered")) {
    if (member(*registered, "engine") != nullptr) status.registered = flag(*registered, "engine");
  }
  if (const json* const load = member(*page, "load")) status.open_connections = integer(*load, "open_connections");
  status.models = texts(*page, "models");
  status.last_exit = last_exit_text(*page);
  return status;
}

}  // namespace svc::ctl
