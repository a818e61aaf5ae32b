// Who may register: the operator's list of servers, and the addresses that this process may be told to connect to.
#pragma once

#include <optional>
#include <string>

#include "common/io/http_client.hpp"
#include "registry/core/registry_state.hpp"
#include "registry/core/server_roster.hpp"

namespace svc::registry {

class RegistrationGate {
 public:
  /// Addresses are judged by the client's address policy, the one that probes obey as well.
  explicit RegistrationGate(HttpClient& client) : client_(client) {}

  void reconfigure(ServerRoster roster, bool strict) {
    roster_ = std::move(roster);
    strict_ = strict;
  }
  const ServerRoster& roster() const { return roster_; }

  /// Errors, with a sentence for the client: forbidden; unavailable when the name service fails. Host, url and
  /// metadata.health_url are judged, unless `addresses` is false, since they are as they were. Names are looked up only
  /// when networks are restricted; what a name resolves to later is judged again at every probe.
  asio::awaitable<Result<void>> admit(const wire::ServiceSpec& spec, bool addresses = true);

 private:
  asio::awaitable<Result<void>> admit_host(std::string host, std::string what);

  HttpClient& client_;
  ServerRoster roster_;
  bool strict_ = false;
};

}  // namespace svc::registry
