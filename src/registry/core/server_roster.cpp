#include "registry/core/server_roster.hpp"

#include <array>
#include <nlohmann/json.hpp>

#include "common/core/endpoint.hpp"
#include "common/core/json_reader.hpp"

namespace svc::registry {
namespace {

constexpr std::string_view kEngineSuffix = "-server";
constexpr std::size_t kMaxServices = 10'000;

bool is_entry_of(std::string_view entry, std::string_view service) {
  return entry == service ||
         (entry.ends_with(kEngineSuffix) && entry.substr(0, entry.size() - kEngineSuffix.size()) == service);
}

}  // namespace

std::vector<MissingService> ServerRoster::missing(const std::function<bool(std::string_view)>& registered) const {
  std::vector<MissingService> result;
  for (const auto& server : servers_) {
    for (const auto& service : server.services) {
      if (!registered(service) && !registered(service + std::string(kEngineSuffix))) {
        result.push_back({service, server.name, server.host});
      }
    }
  }
  return result;
}

std::optional<std::string> ServerRoster::refusal(std::string_view name, std::string_view host) const {
  std::string listed_at;
  for (const auto& server : servers_) {
    for (const auto& service : server.services) {
      if (!is_entry_of(name, service)) {
        continue;
      }
      if (same_host(server.host, host)) {
        return std::nullopt;
      }
      listed_at = server.host;
    }
  }
  if (listed_at.empty()) {
    return "Service '" + std::string(name) + "' is not in the registry's list of servers";
  }
  return "Service '" + std::string(name) + "' is listed for host " + listed_at + ", not for " + std::string(host);
}

Result<ServerRoster> read_server_roster(const nlohmann::json& file) {
  static constexpr std::array<std::string_view, 3> kKeys{"name", "host", "services"};
  const auto servers = file.find("servers");
  if (servers == file.end() || servers->is_null()) {
    return ServerRoster{};
  }
  if (!servers->is_array()) {
    return invalid("'servers' must be a list of objects");
  }
  std::vector<ListedServer> listed;
  for (std::size_t i = 0; i < servers->size(); ++i) {
    const auto path = "servers[" + std::to_string(i) + "]";
    const auto& item = (*servers)[i];
    if (!item.is_object()) {
      return invalid("'" + path + "' must be an object");
    }
    ListedServer server;
    JsonReader reader(item, path);
    reader.required("name");
    reader.required("host");
    reader.text("name", server.name, {1, 253});
    reader.text("host", server.host, {1, 253});
    reader.text_list("services", server.services, {1, 253}, kMaxServices);
    reader.known(kKeys);
    if (const auto error = reader.error()) {
      return *error;
    }
    listed.push_back(std::move(server));
  }
  return ServerRoster(std::move(listed));
}

}  // namespace svc::registry
