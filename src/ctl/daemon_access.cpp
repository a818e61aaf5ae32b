#include "ctl/daemon_access.hpp"

#include "common/io/token_file.hpp"

namespace svc::ctl {

Result<Pages> pages_of(const Part& part, const AccessOptions& options) {
  PageAccess access;
  access.tls_ca = options.tls_ca.empty() ? part.tls_ca : options.tls_ca;
  if (part.kind == DaemonKind::router)
    return Pages::open(access);  // its own pages ask for no token, so it is shown none
  if (!options.token_file.empty()) {
    const auto token = read_token_file(options.token_file);
    if (!token) return token.error();
    access.token = *token;
  } else if (const auto token = read_token_file(part.token_file)) {
    access.token = *token;
  }
  return Pages::open(access);
}

}  // namespace svc::ctl
