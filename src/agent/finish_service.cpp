#include "agent/finish_service.hpp"

#include <nlohmann/json.hpp>

#include "agent/core/command_line.hpp"
#include "agent/core/service_entry.hpp"
#include "common/core/endpoint.hpp"
#include "common/core/ip_address.hpp"
#include "common/core/registry_url.hpp"
#include "common/core/wire/metadata_rules.hpp"

namespace svc::agent {
namespace {

using nlohmann::json;

constexpr std::string_view kPlace = "{name}";

/// The earlier Python agent knew --path and two kinds, of which the one with a model folder was the default.
EngineKind kind_meant(const ServiceSettings& service) {
  if (!service.command.empty() || service.path.empty()) return EngineKind::command;
  return service.path.ends_with(".toml") ? EngineKind::infinilm_rust : EngineKind::infinilm;
}

/// 0.0.0.0 in a configuration file of the earlier agents said where to listen; nobody can be reached at it.
void reachable_host(ServiceSettings& service) {
  const auto address = IpAddress::parse(without_brackets(service.host));
  if (!address || !address->is_unspecified()) return;
  service.listens_on = address->is_v4() ? "0.0.0.0" : "::";
  service.host = ServiceSettings().host;
}

}  // namespace

std::string named(std::string file, std::string_view name) {
  const std::size_t at = file.find(kPlace);
  if (at == std::string::npos) return file;
  const std::size_t end = at + kPlace.size();
  const bool dot = name.empty() && end < file.size() && file[end] == '.';
  return file.replace(at, kPlace.size() + (dot ? 1 : 0), name);
}

std::string metadata_of(const json* file) {
  if (file == nullptr) return "{}";
  const auto metadata = file->find("metadata");
  return metadata != file->end() && metadata->is_object() ? metadata->dump() : "{}";
}

Result<void> check_metadata(const json& file) {
  const auto metadata = file.find("metadata");
  if (metadata == file.end() || metadata->is_null()) return {};
  return wire::check_metadata(*metadata, "metadata");
}

ServiceSettings unstated_service() {
  ServiceSettings service;
  service.service_type.clear();
  service.weight = -1;
  return service;
}

Result<ServiceSettings> finish_service(ServiceSettings service) {
  if (service.service_type.empty()) service.service_type = to_string(kind_meant(service));
  service.weight_given = service.weight >= 0;
  if (!service.weight_given) service.weight = ServiceSettings().weight;
  reachable_host(service);
  if (!service.registry_url.empty()) {
    auto url = registry_base(service.registry_url);
    if (!url) return wrap("registry_url", url.error());
    service.registry_url = *std::move(url);
  }
  if (service.max_concurrency > 0) {
    const std::string stated = "{\"max_concurrency\":" + std::to_string(service.max_concurrency) + "}";
    service.metadata_json = merged_metadata(service.metadata_json, stated);
  }
  if (service.name.empty()) service.name = default_name(service);
  service.log_file = named(service.log_file.empty() ? "logs/{name}.log" : service.log_file, service.name);
  if (auto checked = check_service(service); !checked) return checked.error();
  if (auto commands = command_lines(service); !commands) return commands.error();
  return service;
}

}  // namespace svc::agent
