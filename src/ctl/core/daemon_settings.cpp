#include "ctl/core/daemon_settings.hpp"

#include <nlohmann/json.hpp>

#include "ctl/core/page_json.hpp"

namespace svc::ctl {

using nlohmann::json;

Result<DaemonSettings> parse_daemon_settings(std::string_view printed, std::string_view section) {
  const auto whole = page_object(printed);
  const auto unusable = [section] {
    return internal_error("--print-config of the " + std::string(section) + " printed something else");
  };
  if (!whole) return unusable();
  const json* const found = member(*whole, std::string(section).c_str());
  if (found == nullptr || !found->is_object()) return unusable();
  DaemonSettings settings;
  settings.host = text(*found, section == "agent" ? "bind" : "host");
  settings.port = port(*found, "port");
  settings.tls = !text(*found, "tls_cert").empty();
  settings.tls_ca = text(*found, "tls_ca");
  settings.token_file = text(*found, "token_file");
  settings.registry_url = text(*found, "registry_url");
  settings.registry_token_file = text(*found, "registry_token_file");
  settings.log_file = text(*found, "log_file");
  return settings;
}

bool states_port(const json& file, std::string_view section) {
  const json* const found = member(file, std::string(section).c_str());
  return found != nullptr && member(*found, "port") != nullptr;
}

std::vector<StaticInstance> static_instances(const json& file) {
  std::vector<StaticInstance> list;
  const json* const section = member(file, "static_services");
  if (section == nullptr) return list;
  const json whole = section->is_array() ? json{{"services", *section}} : *section;
  for (const json* const item : objects(whole, "services")) {
    StaticInstance instance{text(*item, "name"), {text(*item, "host"), port(*item, "port")}};
    if (!instance.endpoint.host.empty() && instance.endpoint.port != 0) list.push_back(std::move(instance));
  }
  return list;
}

}  // namespace svc::ctl
