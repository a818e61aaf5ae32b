// The `servers` list of the configuration file: which services an operator expects, and where.
//
// An agent makes two registrations for a service NAME: NAME itself (the agent) and NAME-server (the engine). Either
// counts as the service being there, and both are admitted for a listed NAME.
#pragma once

#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/core/result.hpp"

namespace svc::registry {

struct ListedServer {
  std::string name;
  std::string host;
  std::vector<std::string> services;
};

struct MissingService {
  std::string name, server, host;
};

class ServerRoster {
 public:
  ServerRoster() = default;
  explicit ServerRoster(std::vector<ListedServer> servers) : servers_(std::move(servers)) {}

  bool empty() const { return servers_.empty(); }
  /// Listed services for which `registered` knows neither NAME nor NAME-server, in the order of the file.
  std::vector<MissingService> missing(const std::function<bool(std::string_view name)>& registered) const;
  /// nullopt = may register; else the reason, fit for the client.
  std::optional<std::string> refusal(std::string_view name, std::string_view host) const;

 private:
  std::vector<ListedServer> servers_;
};

/// Reads `servers` of a whole configuration file: [{"name", "host", "services": [..]}]. Absent = empty roster. Errors name
/// the path ("'servers[1].host' is missing").
Result<ServerRoster> read_server_roster(const nlohmann::json& file);

}  // namespace svc::registry
