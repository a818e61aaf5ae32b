#include "tests/support/test_certificate.hpp"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <cstdio>
#include <memory>
#include <stdexcept>

namespace svc::test {
namespace {

constexpr long kHour = 3600;

template <auto release>
struct Release {
  template <class T>
  void operator()(T* object) const {
    release(object);
  }
};
template <class T, auto release>
using Owned = std::unique_ptr<T, Release<release>>;

void require(bool done, const char* what) {
  if (!done) throw std::runtime_error(std::string("no test certificate: ") + what);
}

}  // namespace

TlsFiles make_certificate(const TempFolder& folder) {
  const Owned<EVP_PKEY, EVP_PKEY_free> key(EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-256"));
  const Owned<X509, X509_free> certificate(X509_new());
  require(key && certificate, "key");
  X509* const made = certificate.get();
  const Owned<X509_EXTENSION, X509_EXTENSION_free> names(
      X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, "DNS:localhost,IP:127.0.0.1"));
  X509_NAME* const name = X509_get_subject_name(made);
  const unsigned char common_name[] = "localhost";
  require(X509_set_version(made, 2) == 1 && ASN1_INTEGER_set(X509_get_serialNumber(made), 1) == 1 &&
              X509_gmtime_adj(X509_getm_notBefore(made), -kHour) != nullptr &&
              X509_gmtime_adj(X509_getm_notAfter(made), kHour) != nullptr && X509_set_pubkey(made, key.get()) == 1 &&
              X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, common_name, -1, -1, 0) == 1 &&
              X509_set_issuer_name(made, name) == 1 && names && X509_add_ext(made, names.get(), -1) == 1 &&
              X509_sign(made, key.get(), EVP_sha256()) > 0,
          "fields");

  TlsFiles files{folder.path("server.pem"), folder.path("server.key"), folder.path("server.pem")};
  const Owned<FILE, std::fclose> cert_file(std::fopen(files.cert.c_str(), "w"));
  const Owned<FILE, std::fclose> key_file(std::fopen(files.key.c_str(), "w"));
  require(cert_file && key_file && PEM_write_X509(cert_file.get(), made) == 1 &&
              PEM_write_PrivateKey(key_file.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) == 1,
          "files");
  return files;
}

}  // namespace svc::test
