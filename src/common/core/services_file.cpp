#include "common/core/services_file.hpp"

#include <algorithm>
#include <array>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>

#include "common/core/header_rules.hpp"
#include "common/core/json_reader.hpp"
#include "common/core/wire/metadata_rules.hpp"
#include "common/core/wire/registry_api.hpp"

namespace svc {
namespace {

using nlohmann::json;

constexpr std::array<std::string_view, 9> kKeys{"name",         "host",   "port",     "weight", "max_fails",
                                                "fail_timeout", "backup", "metadata", "config"};
constexpr std::size_t kMaxPath = 4096;
constexpr std::size_t kMost = 20;  ///< names in a message

bool is_comment(std::string_view key) { return key.starts_with('_') || key.starts_with('$'); }

void check_keys(JsonReader& reader, const json& item, std::span<const std::string_view> keys) {
  std::vector<std::string_view> known(keys.begin(), keys.end());
  for (const auto& entry : item.items()) {
    if (is_comment(entry.key())) known.push_back(entry.key());
  }
  reader.known(known);
}

Result<ServiceEntry> read_entry(const json& item, const std::string& path) {
  JsonReader reader(item, path);
  if (!item.is_object()) return *reader.error();
  ServiceEntry entry;
  for (const char* key : {"name", "host", "port"}) reader.required(key);
  reader.text("name", entry.name, {1, wire::kMaxNameBytes});
  reader.text("host", entry.host, {1, wire::kMaxHostBytes});
  reader.integer("port", entry.port, 1, 65534);
  std::int64_t number = 0;
  if (reader.integer("weight", number, 0, wire::kMaxWeight)) entry.weight = number;
  if (reader.integer("max_fails", number, 0, wire::kMaxMaxFails)) entry.max_fails = number;
  Duration time{};
  if (reader.duration("fail_timeout", time, std::chrono::milliseconds(1), std::chrono::hours(24))) {
    entry.fail_timeout = time;
  }
  bool flag = false;
  if (reader.flag("backup", flag)) entry.backup = flag;
  if (const json* const metadata = reader.object("metadata")) {
    if (const auto checked = wire::check_metadata(*metadata, path + ".metadata"); !checked)
      reader.adopt(checked.error());
    entry.metadata_json = metadata->dump();
  }
  reader.text("config", entry.config, {1, kMaxPath});
  check_keys(reader, item, kKeys);
  if (const auto error = reader.error()) return *error;
  return entry;
}

std::string quoted(const ServiceEntry& entry) { return "'" + entry.name + "'"; }

/// Each service takes its port and, for the agent's pages, the next one.
Result<void> check_ports(const std::vector<ServiceEntry>& entries) {
  std::map<int, const ServiceEntry*> taken;
  for (const ServiceEntry& entry : entries) {
    for (const int port : {int{entry.port}, entry.port + 1}) {
      const auto [place, free] = taken.emplace(port, &entry);
      if (free) continue;
      return invalid("services " + quoted(*place->second) + " (port " + std::to_string(place->second->port) + ") and " +
                     quoted(entry) + " (port " + std::to_string(entry.port) + ") both need port " +
                     std::to_string(port) + ": each takes its own and the next one");
    }
  }
  return {};
}

std::string listed(const std::vector<std::string>& names) {
  std::string out;
  for (std::size_t i = 0; i < std::min(names.size(), kMost); ++i) out.append(i == 0 ? "" : ", ").append(names[i]);
  return out + (names.size() > kMost ? ", ..." : "");
}

std::vector<std::string> names_of(const std::vector<ServiceEntry>& entries) {
  std::vector<std::string> names;
  std::transform(entries.begin(), entries.end(), std::back_inserter(names),
                 [](const ServiceEntry& entry) { return entry.name; });
  return names;
}

Error none_for_this_host(const std::vector<ServiceEntry>& entries, const std::vector<std::string>& own_names) {
  std::vector<std::string> hosts;
  for (const ServiceEntry& entry : entries) {
    if (std::find(hosts.begin(), hosts.end(), entry.host) == hosts.end()) hosts.push_back(entry.host);
  }
  if (hosts.empty()) return invalid("the list 'services' is empty");
  return invalid("no service of the file belongs to this host (" + listed(own_names) + "); the file's hosts are " +
                 listed(hosts) + "; --host says which one this is");
}

}  // namespace

Result<std::vector<ServiceEntry>> read_services_file(const json& file) {
  static constexpr std::array<std::string_view, 1> kTop{"services"};
  JsonReader reader(file, "");
  if (!file.is_object()) return invalid("the file must hold one JSON object with a list 'services'");
  reader.required("services");
  const json* const services = reader.array("services");
  check_keys(reader, file, kTop);
  if (const auto error = reader.error()) return *error;
  std::vector<ServiceEntry> entries;
  for (std::size_t i = 0; i < services->size(); ++i) {
    const std::string path = "services[" + std::to_string(i) + "]";
    auto entry = read_entry((*services)[i], path);
    if (!entry) return entry.error();
    for (std::size_t other = 0; other < entries.size(); ++other) {
      if (entries[other].name != entry->name) continue;
      return invalid("'services[" + std::to_string(other) + "]' and '" + path + "' have the same name '" + entry->name +
                     "'");
    }
    entries.push_back(*std::move(entry));
  }
  return entries;
}

Result<std::vector<ServiceEntry>> services_of_host(const std::vector<ServiceEntry>& entries,
                                                   const std::vector<std::string>& own_names) {
  std::vector<ServiceEntry> own;
  for (const ServiceEntry& entry : entries) {
    if (is_own_host(entry.host, own_names)) own.push_back(entry);
  }
  if (own.empty()) return none_for_this_host(entries, own_names);
  if (auto checked = check_ports(own); !checked) return checked.error();
  return own;
}

bool is_own_host(std::string_view host, const std::vector<std::string>& own_names) {
  return std::any_of(own_names.begin(), own_names.end(),
                     [host](const std::string& name) { return same_host(name, host); });
}

Result<std::vector<ServiceEntry>> named_services(const std::vector<ServiceEntry>& entries,
                                                 const std::vector<std::string>& names) {
  if (names.empty()) return entries;
  const auto is_wanted = [&names](const ServiceEntry& entry) {
    return std::find(names.begin(), names.end(), entry.name) != names.end();
  };
  std::vector<ServiceEntry> wanted;
  std::copy_if(entries.begin(), entries.end(), std::back_inserter(wanted), is_wanted);
  for (const std::string& name : names) {
    const bool found =
        std::any_of(wanted.begin(), wanted.end(), [&name](const ServiceEntry& e) { return e.name == name; });
    if (!found)
      return invalid("no service of this host is called '" + name + "'; there are " + listed(names_of(entries)));
  }
  return wanted;
}

}  // namespace svc
