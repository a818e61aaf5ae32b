#include "agent/secrets.hpp"

#include <algorithm>

#include "common/io/token_file.hpp"

namespace svc::agent {
namespace {

bool needs_client_tls(const AgentSettings& settings) {
  return !settings.tls.ca.empty() ||
         std::any_of(settings.all.begin(), settings.all.end(),
                     [](const ServiceSettings& service) { return service.registry_url.starts_with("https:"); });
}

}  // namespace

Result<Secrets> read_secrets(const AgentSettings& settings) {
  Secrets secrets;
  if (settings.tls.serves()) {
    // Without tls_ca, which is for the registry: who probes the pages has no certificate to show.
    auto made = make_server_tls({settings.tls.cert, settings.tls.key, ""});
    if (!made) {
      return made.error();
    }
    secrets.server_tls = *std::move(made);
  }
  if (needs_client_tls(settings)) {
    auto made = make_client_tls(settings.tls);
    if (!made) {
      return made.error();
    }
    secrets.client_tls = *std::move(made);
  }
  auto token = read_token_file(settings.registry_token_file);
  if (!token) {
    return token.error();
  }
  secrets.registry_token = *std::move(token);
  for (const auto& service : settings.all) {
    auto key = read_token_file(service.engine_api_key_file);
    if (!key) {
      return wrap("engine_api_key_file of '" + service.name + "'", key.error());
    }
    secrets.engine_keys[service.name] = *std::move(key);
  }
  if (auto loaded = secrets.auth.load(settings.token_file); !loaded) {
    return loaded.error();
  }
  return secrets;
}

}  // namespace svc::agent
