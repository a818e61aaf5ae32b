// /health, /stats, /metrics, /openapi.json
#include <nlohmann/json.hpp>

#include "common/core/time_text.hpp"
#include "common/io/metrics.hpp"
#include "common/version.hpp"
#include "registry/io/http_api.hpp"

namespace svc::registry {
namespace {

using nlohmann::ordered_json;

double seconds(Duration duration) {
  return std::chrono::duration<double>(std::chrono::floor<std::chrono::milliseconds>(duration)).count();
}

ordered_json removal_json(const RemovalStatus& status, TimePoint now) {
  ordered_json json{{"on_hold", status.on_hold}, {"waiting", status.waiting}, {"holds", status.holds}};
  if (status.on_hold && status.since) {
    json["since_seconds"] = seconds(now - *status.since);
  }
  return json;
}

ordered_json store_json(const BootFacts& boot, const std::string& last_error) {
  const char* state = "ok";
  if (boot.store_path == ":memory:") {
    state = "memory";
  } else if (!last_error.empty()) {
    state = "failing";
  } else if (!boot.store_moved_to.empty()) {
    state = "reset";
  }
  ordered_json json{{"path", boot.store_path}, {"state", state}};
  if (!boot.store_moved_to.empty()) {
    json["moved_to"] = boot.store_moved_to;
    json["damage"] = boot.store_damage;
  }
  if (boot.store_unreadable_rows > 0) {
    json["unreadable_rows"] = boot.store_unreadable_rows;
  }
  if (!last_error.empty()) {
    json["last_error"] = last_error;
  }
  return json;
}

ordered_json counts_json(const std::vector<std::pair<std::string, std::size_t>>& counts) {
  ordered_json json = ordered_json::object();
  // Each comes once. The operator [] of ordered_json would compare it with all before it, of thousands of hosts.
  auto& members = json.get_ref<ordered_json::object_t&>();
  members.reserve(counts.size());
  for (const auto& [value, count] : counts) {
    members.emplace_back(value, count);
  }
  return json;
}

std::string text_of(const ordered_json& json) {
  return json.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

}  // namespace

HttpApi::Answer HttpApi::get_health(const HttpRequest&) {
  observe();
  const TimePoint now = steady_now();
  const ordered_json json{{"status", draining_ ? "draining" : "healthy"},
                          {"registry", "running"},
                          {"ready", !draining_},
                          {"registered_services", parts_.state.size()},
                          {"healthy_services", parts_.state.healthy()},
                          {"timestamp", iso8601(wall_now())},
                          {"revision", parts_.state.revision()},
                          {"epoch", boot_.epoch},
                          {"uptime", seconds(now - boot_.started)},
                          {"version", kVersion},
                          {"warming", warming()},
                          {"removal", removal_json(parts_.state.removal_status(), now)},
                          {"store", store_json(boot_, parts_.writer.last_store_error())}};
  co_return answer(text_of(json), draining_ ? 503 : 200);
}

HttpApi::Answer HttpApi::get_stats(const HttpRequest&) {
  observe();
  const TimePoint now = steady_now();
  const auto stats = parts_.state.stats(now);
  ordered_json missing = ordered_json::array();
  const auto registered = [this](std::string_view name) { return parts_.state.find(name) != nullptr; };
  for (const auto& service : parts_.gate.roster().missing(registered)) {
    missing.push_back({{"name", service.name}, {"server", service.server}, {"host", service.host}});
  }
  const ordered_json json{{"total_services", stats.total},
                          {"healthy_services", stats.healthy},
                          {"unhealthy_services", stats.unhealthy},
                          {"status_distribution", counts_json(stats.by_status)},
                          {"host_distribution", counts_json(stats.by_host)},
                          {"health_distribution", counts_json(stats.by_health)},
                          {"uptime", seconds(now - boot_.started)},
                          {"timestamp", iso8601(wall_now())},
                          {"revision", parts_.state.revision()},
                          {"epoch", boot_.epoch},
                          {"name_conflicts", stats.name_conflicts},
                          {"expected_missing", missing},
                          {"watchers", parts_.watchers.waiting()},
                          {"removal", removal_json(parts_.state.removal_status(), now)},
                          {"store", store_json(boot_, parts_.writer.last_store_error())}};
  co_return answer(text_of(json));
}

HttpApi::Answer HttpApi::get_metrics(const HttpRequest&) {
  observe();
  HttpResponse response;
  response.content_type = kMetricsContentType;
  response.body = parts_.metrics.text();
  co_return response;
}

HttpApi::Answer HttpApi::get_openapi(const HttpRequest&) {
  HttpResponse response;
  response.body = openapi_json(kVersion);
  co_return response;
}

}  // namespace svc::registry
