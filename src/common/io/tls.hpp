// TLS contexts from PEM files, for servers and clients.
//
// TLS 1.2 and 1.3 with the cipher suites of Mozilla's "intermediate" profile. A context is immutable: reloading certificates
// makes a new one, connections that are open keep theirs.
#pragma once

#include <memory>
#include <string>

#include "common/core/result.hpp"

namespace boost::asio::ssl {
class context;
}

namespace svc {

using TlsContext = std::shared_ptr<boost::asio::ssl::context>;

struct TlsFiles {
  std::string cert;  ///< PEM chain; with `key` it makes a server (or the identity of a client)
  std::string key;   ///< PEM private key
  std::string ca;    ///< PEM bundle that peers are checked against; for a server: clients must show a certificate

  bool serves() const { return !cert.empty(); }
};

/// Errors are one sentence that names the file: cannot be read, not PEM, key does not match the certificate.
Result<TlsContext> make_server_tls(const TlsFiles& files);
/// Without `ca` the system's certificates are trusted. Peers are always verified, host name included.
Result<TlsContext> make_client_tls(const TlsFiles& files);

}  // namespace svc
