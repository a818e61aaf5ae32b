#include "registry/secrets.hpp"

namespace svc::registry {

Result<Secrets> read_secrets(const RegistrySettings& settings) {
  Secrets secrets;
  if (settings.tls.serves()) {
    auto made = make_server_tls(settings.tls);
    if (!made) {
      return made.error();
    }
    secrets.server_tls = *std::move(made);
  }
  auto client_tls = make_client_tls(settings.tls);
  if (!client_tls) {
    return client_tls.error();
  }
  secrets.client_tls = *std::move(client_tls);
  if (auto loaded = secrets.auth.load(settings.token_file); !loaded) {
    return loaded.error();
  }
  return secrets;
}

}  // namespace svc::registry
