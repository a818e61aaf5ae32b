// What the agent reads from files besides its configuration: certificates, tokens, and the keys of its engines.
#pragma once

#include <map>
#include <string>

#include "agent/config.hpp"
#include "common/core/result.hpp"
#include "common/io/bearer_auth.hpp"
#include "common/io/tls.hpp"

namespace svc::agent {

struct Secrets {
  TlsContext server_tls;  ///< null: plain HTTP
  TlsContext client_tls;  ///< null: no registry needs it
  std::string registry_token;
  std::map<std::string, std::string> engine_keys;  ///< by service
  BearerAuth auth;
};

/// Blocks while it reads. Errors name the file.
Result<Secrets> read_secrets(const AgentSettings& settings);

}  // namespace svc::agent
