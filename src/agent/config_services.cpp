// The services of a services file that are this host's, each with its own settings: defaults, then the file of --config, its
// own file, its entry, the environment, the flags.
#include <algorithm>
#include <array>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "agent/config.hpp"
#include "agent/core/service_entry.hpp"
#include "agent/finish_service.hpp"
#include "common/io/config_file.hpp"
#include "common/io/own_names.hpp"

namespace svc::agent {
namespace {

using nlohmann::json;

/// What flags and variables say about one service alone; with several, the entry says it.
constexpr std::array<std::string_view, 3> kOfTheEntry{"port", "name", "host"};

bool is_of_the_entry(std::string_view key) {
  return std::find(kOfTheEntry.begin(), kOfTheEntry.end(), key) != kOfTheEntry.end();
}

/// A service's file may have nothing about the agent as a whole, but for what the earlier agents' files had.
Result<void> check_is_of_a_service(const json& section, const OptionTable& table) {
  ServiceSettings unused;
  OptionTable service("agent", "");
  add_service_options(service, unused);
  const auto has = [](const OptionTable& in, const std::string& key) {
    return std::any_of(in.options().begin(), in.options().end(),
                       [&key](const OptionTable::Option& option) { return option.key == key; });
  };
  for (const auto& item : section.items()) {
    const std::string& key = item.key();
    if (key == "router_url" || has(service, key) || !has(table, key)) continue;
    return invalid("'agent." + key + "' is about the agent as a whole and has no place in the file of one service");
  }
  return {};
}

std::string joined(const std::vector<std::string>& names) {
  std::string out;
  for (const std::string& name : names) out.append(out.empty() ? "" : ", ").append(name);
  return out;
}

Result<void> read_service_file(const std::string& path, OptionTable& table, ServiceSettings& service) {
  OptionTable::KeyPlaces places;
  std::vector<Error> errors;
  const auto file = read_sections(agent_cli(), path, places, errors);
  if (!errors.empty()) return errors.front();
  const auto placed = [&path](const Result<void>& result) -> Result<void> {
    if (result) return {};
    return invalid(path + ": " + result.error().to_string());
  };
  if (const auto section = file->find("agent"); section != file->end()) {
    if (section->is_object()) {
      if (auto fits = placed(check_is_of_a_service(*section, table)); !fits) return fits;
    }
    if (auto read = placed(table.read_json(*section, places)); !read) return read;
  }
  if (auto fits = placed(check_metadata(*file)); !fits) return fits;
  service.metadata_json = merged_metadata(service.metadata_json, metadata_of(&*file));
  return {};
}

}  // namespace

bool AgentConfig::overridden(std::string_view key) const {
  return std::any_of(options_.overrides().begin(), options_.overrides().end(),
                     [key](const OptionTable::Override& each) { return each.key == key; });
}

Result<void> AgentConfig::read_services() {
  AgentSettings& c = settings_;
  const auto file = read_json_file(c.services);
  if (!file) return wrap("services", file.error());
  const auto placed = [&c](const Error& error) { return invalid(c.services + ": " + error.to_string()); };
  const auto entries = read_services_file(*file);
  if (!entries) return placed(entries.error());
  const std::vector<std::string> names = overridden("host") ? std::vector{c.service.host} : own_names();
  c.this_host = joined(names);
  const auto of_host = services_of_host(*entries, names);
  if (!of_host) return placed(of_host.error());
  const auto own = named_services(*of_host, c.only);
  if (!own) return placed(own.error());
  for (const ServiceEntry& entry : *own) {
    auto service = service_of(entry);
    if (!service) return invalid("service '" + entry.name + "': " + service.error().to_string());
    c.all.push_back(*std::move(service));
  }
  return {};
}

Result<void> AgentConfig::read_settings_of(const ServiceEntry& entry, OptionTable& table,
                                           ServiceSettings& service) const {
  const std::filesystem::path folder = std::filesystem::path(settings_.services).parent_path();
  if (!entry.config.empty()) return read_service_file((folder / entry.config).string(), table, service);
  const std::vector<std::string> files = settings_files(entry, folder.string());
  for (const std::string& path : files) {
    std::error_code ignored;
    if (std::filesystem::exists(path, ignored)) return read_service_file(path, table, service);
  }
  if (file_ || overridden("service_type") || overridden("command") || overridden("path")) return {};
  return invalid("it has no settings: its entry names no 'config', and neither " + files[0] + " nor " + files[1] +
                 " is there");
}

Result<ServiceSettings> AgentConfig::service_of(const ServiceEntry& entry) const {
  AgentSettings fresh;
  OptionTable table = agent_options(fresh);
  ServiceSettings& service = fresh.service;
  if (file_) {
    const auto section = file_->find("agent");
    if (section != file_->end()) {
      if (auto read = table.read_json(*section); !read) return read.error();
    }
    service.metadata_json = metadata_of(file_.get());
  }
  if (auto read = read_settings_of(entry, table, service); !read) return read.error();
  apply_entry(entry, service);
  for (const auto& [key, text, origin] : options_.overrides()) {
    if (is_of_the_entry(key)) continue;
    if (auto set = table.set(key, text, origin); !set) return set.error();
  }
  return finish_service(std::move(service));
}

}  // namespace svc::agent
