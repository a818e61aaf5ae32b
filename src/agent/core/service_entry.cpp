#include "agent/core/service_entry.hpp"

#include <nlohmann/json.hpp>

#include "common/core/json_reader.hpp"

namespace svc::agent {

using nlohmann::json;

void apply_entry(const ServiceEntry& entry, ServiceSettings& settings) {
  settings.name = entry.name;
  settings.host = entry.host;
  settings.port = entry.port;
  if (entry.weight) settings.weight = *entry.weight;
  if (entry.max_fails) settings.max_fails = *entry.max_fails;
  if (entry.fail_timeout) settings.fail_timeout = *entry.fail_timeout;
  if (entry.backup) settings.backup = *entry.backup;
  settings.metadata_json = merged_metadata(settings.metadata_json, entry.metadata_json);
}

std::vector<std::string> settings_files(const ServiceEntry& entry, const std::string& folder) {
  const std::string start = folder.empty() || folder.ends_with('/') ? folder : folder + "/";
  return {start + entry.name + ".toml", start + "service.toml"};
}

std::string merged_metadata(std::string_view base, std::string_view over) {
  json merged = json::object();
  for (const std::string_view text : {base, over}) {
    const auto object = parse_json(text);
    if (object && object->is_object()) merged.update(*object);
  }
  return merged.dump();
}

}  // namespace svc::agent
