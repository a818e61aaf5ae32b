#include "ctl/core/status_codec.hpp"

#include <nlohmann/json.hpp>

#include "common/core/time_text.hpp"

namespace svc::ctl {
namespace {

using nlohmann::ordered_json;

template <class T>
ordered_json known(const std::optional<T>& value) {
  return value ? ordered_json(*value) : ordered_json(nullptr);
}

ordered_json known(const std::string& text) { return text.empty() ? ordered_json(nullptr) : ordered_json(text); }

ordered_json daemon_json(const DaemonRow& row) {
  return {{"name", row.name},
          {"ok", row.ok},
          {"pid", known(row.pid)},
          {"port", row.port},
          {"elsewhere", known(row.address)},
          {"uptime_seconds", known(row.uptime_seconds)},
          {"health", row.health}};
}

ordered_json service_json(const ServiceRow& row) {
  return {{"name", row.name},
          {"ok", row.ok},
          {"host", known(row.host)},
          {"port", row.port == 0 ? ordered_json(nullptr) : ordered_json(row.port)},
          {"state", row.state},
          {"router_state", known(row.routing)},
          {"models", row.models},
          {"weight", known(row.weight)},
          {"backup", row.backup},
          {"in_flight", known(row.in_flight)},
          {"requests", known(row.requests)},
          {"errors", known(row.errors)},
          {"ttft_p50_seconds", known(row.ttft_p50_seconds)},
          {"ttft_p95_seconds", known(row.ttft_p95_seconds)},
          {"restarts", known(row.restarts)}};
}

}  // namespace

std::string status_json(const FleetStatus& fleet, WallTime now) {
  ordered_json daemons = ordered_json::array();
  for (const DaemonRow& row : fleet.daemons) daemons.push_back(daemon_json(row));
  ordered_json services = ordered_json::array();
  for (const ServiceRow& row : fleet.services) services.push_back(service_json(row));
  const ordered_json whole{{"ok", fleet.ok()},
                           {"timestamp", iso8601(now)},
                           {"daemons", std::move(daemons)},
                           {"services", std::move(services)},
                           {"problems", fleet.problems}};
  return whole.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

}  // namespace svc::ctl
