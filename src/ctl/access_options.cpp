#include "ctl/access_options.hpp"

#include <CLI/CLI.hpp>

#include "common/io/token_file.hpp"

namespace svc::ctl {

void AccessOptions::declare(CLI::App& app) {
  app.add_option("--token-file", token_file, "file with the bearer token for the pages of registry and agents")
      ->envname("INFINILM_CTL_TOKEN_FILE");
  app.add_option("--tls-ca", tls_ca, "PEM bundle that https pages are checked against (default: the system's)")
      ->envname("INFINILM_CTL_TLS_CA");
}

Result<Pages> AccessOptions::open() const {
  const auto token = read_token_file(token_file);
  if (!token) return token.error();
  return Pages::open({*token, tls_ca});
}

}  // namespace svc::ctl
