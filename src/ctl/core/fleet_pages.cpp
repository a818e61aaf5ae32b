#include "ctl/core/fleet_pages.hpp"

#include <nlohmann/json.hpp>

#include "ctl/core/page_json.hpp"

namespace svc::ctl {
namespace {

using nlohmann::json;

std::vector<std::string> model_ids(const json& metadata) {
  std::vector<std::string> ids = texts(metadata, "models");
  if (!ids.empty()) return ids;
  for (const json* const model : objects(metadata, "models_list")) ids.push_back(text(*model, "id"));
  return ids;
}

RegisteredService registered_service(const json& item) {
  RegisteredService service;
  service.name = text(item, "name");
  service.host = text(item, "host");
  service.port = port(item, "port");
  service.status = text(item, "status");
  service.health_status = text(item, "health_status");
  service.is_healthy = flag(item, "is_healthy");
  service.models = texts(item, "models");
  service.weight = integer(item, "weight");
  service.backup = flag(item, "backup");
  const json* const metadata = member(item, "metadata");
  if (metadata == nullptr) return service;
  service.type = text(*metadata, "type");
  service.parent = text(*metadata, "parent_service");
  service.restarts = integer(*metadata, "restarts");
  if (service.models.empty()) service.models = model_ids(*metadata);
  if (const json* const exit = member(*metadata, "last_exit")) service.last_exit = text(*exit, "text");
  return service;
}

RoutedService routed_service(const json& item) {
  RoutedService service;
  service.name = text(item, "name");
  service.host = text(item, "host");
  service.port = port(item, "port");
  service.state = text(item, "state");
  service.usable = flag(item, "healthy");
  if (service.state.empty()) service.state = service.usable ? "up" : "down";  // an earlier router
  service.is_static = flag(item, "static");
  service.backup = flag(item, "backup");
  service.models = texts(item, "models");
  service.weight = integer(item, "weight");
  service.in_flight = integer(item, "in_flight");
  service.requests = integer(item, "request_count");
  service.errors = integer(item, "error_count");
  const json* const ttft = member(item, "ttft_seconds");
  const json* const answers = member(item, "answers");
  if (ttft != nullptr && answers != nullptr && !answers->empty()) {
    service.ttft_p50_seconds = number(*ttft, "p50");
    service.ttft_p95_seconds = number(*ttft, "p95");
  }
  return service;
}

}  // namespace

std::optional<std::vector<RegisteredService>> parse_registered_services(std::string_view body) {
  const auto page = page_object(body);
  if (!page || member(*page, "services") == nullptr) return std::nullopt;
  std::vector<RegisteredService> list;
  for (const json* const item : objects(*page, "services")) list.push_back(registered_service(*item));
  return list;
}

std::optional<std::vector<RoutedService>> parse_routed_services(std::string_view body) {
  const auto page = page_object(body);
  if (!page || member(*page, "services") == nullptr) return std::nullopt;
  std::vector<RoutedService> list;
  for (const json* const item : objects(*page, "services")) list.push_back(routed_service(*item));
  return list;
}

std::vector<MissingService> parse_missing_services(std::string_view body) {
  std::vector<MissingService> list;
  const auto page = page_object(body);
  if (!page) return list;
  for (const json* const item : objects(*page, "expected_missing")) {
    list.push_back({text(*item, "name"), text(*item, "host")});
  }
  return list;
}

}  // namespace svc::ctl
