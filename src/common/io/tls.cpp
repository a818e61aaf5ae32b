#include "common/io/tls.hpp"

#include <openssl/ssl.h>

#include <array>
#include <boost/asio/ssl/context.hpp>

#include "common/io/read_file.hpp"

namespace svc {
namespace {

namespace ssl = boost::asio::ssl;

constexpr const char* kTls12Suites =
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"
    "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";
constexpr const char* kGroups = "X25519:P-256:P-384";

Error file_error(const char* what, const std::string& file, const std::string& cause) {
  Error error;
  error.code = Errc::invalid_argument;
  error.message = std::string("cannot use ") + what + " '" + file + "'";
  error.cause = cause;
  return error;
}

Result<TlsContext> make_base(ssl::context::method method) {
  auto context = std::make_shared<ssl::context>(method);
  context->set_options(ssl::context::default_workarounds | ssl::context::no_compression);
  SSL_CTX* native = context->native_handle();
  SSL_CTX_set_min_proto_version(native, TLS1_2_VERSION);
  if (SSL_CTX_set_cipher_list(native, kTls12Suites) != 1 || SSL_CTX_set1_groups_list(native, kGroups) != 1) {
    return internal_error("the TLS library refuses the cipher suites of this build");
  }
  SSL_CTX_set_mode(native, SSL_MODE_RELEASE_BUFFERS);
  return context;
}

Result<void> use_identity(ssl::context& context, const TlsFiles& files) {
  if (files.cert.empty() != files.key.empty()) {
    return file_error(files.cert.empty() ? "key" : "certificate", files.cert.empty() ? files.key : files.cert,
                      "--tls-cert and --tls-key go together");
  }
  if (files.cert.empty()) {
    return {};
  }
  for (const auto& file : {files.cert, files.key}) {
    if (const auto why = why_unreadable(file); !why.empty()) {
      return file_error("TLS file", file, why);
    }
  }
  boost::system::error_code ec;
  context.use_certificate_chain_file(files.cert, ec);
  if (ec) {
    return file_error("TLS certificate", files.cert, ec.message());
  }
  // A key with a pass phrase would ask for it on the terminal and wait.
  context.set_password_callback([](std::size_t, ssl::context::password_purpose) { return std::string(); }, ec);
  context.use_private_key_file(files.key, ssl::context::pem, ec);
  if (ec) {
    return file_error("TLS key", files.key, ec.message() + " (does it belong to the certificate?)");
  }
  return {};
}

Result<void> use_ca(ssl::context& context, const std::string& ca) {
  if (const auto why = why_unreadable(ca); !why.empty()) {
    return file_error("TLS CA file", ca, why);
  }
  boost::system::error_code ec;
  context.load_verify_file(ca, ec);
  if (ec) {
    return file_error("TLS CA file", ca, ec.message());
  }
  return {};
}

}  // namespace

Result<TlsContext> make_server_tls(const TlsFiles& files) {
  auto context = make_base(ssl::context::tls_server);
  if (!context) {
    return context;
  }
  if (auto done = use_identity(**context, files); !done) {
    return done.error();
  }
  if (!files.ca.empty()) {
    if (auto done = use_ca(**context, files.ca); !done) {
      return done.error();
    }
    (*context)->set_verify_mode(ssl::verify_peer | ssl::verify_fail_if_no_peer_cert);
    // Without it a client with a certificate could not resume a session.
    constexpr std::array<unsigned char, 8> kSessions{'i', 'n', 'f', 'i', 'n', 'i', 'l', 'm'};
    SSL_CTX_set_session_id_context((*context)->native_handle(), kSessions.data(), kSessions.size());
  }
  return context;
}

Result<TlsContext> make_client_tls(const TlsFiles& files) {
  auto context = make_base(ssl::context::tls_client);
  if (!context) {
    return context;
  }
  if (auto done = use_identity(**context, files); !done) {
    return done.error();
  }
  if (files.ca.empty()) {
    boost::system::error_code ec;
    (*context)->set_default_verify_paths(ec);
  } else if (auto done = use_ca(**context, files.ca); !done) {
    return done.error();
  }
  (*context)->set_verify_mode(ssl::verify_peer);
  return context;
}

}  // namespace svc
