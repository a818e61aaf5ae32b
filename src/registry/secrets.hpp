// What the registry reads from files besides its configuration: certificates and tokens.
#pragma once

#include "common/core/result.hpp"
#include "common/io/bearer_auth.hpp"
#include "common/io/tls.hpp"
#include "registry/config.hpp"

namespace svc::registry {

struct Secrets {
  TlsContext server_tls;  ///< null: plain HTTP
  TlsContext client_tls;
  BearerAuth auth;
};

/// Blocks while it reads. Errors name the file.
Result<Secrets> read_secrets(const RegistrySettings& settings);

}  // namespace svc::registry
