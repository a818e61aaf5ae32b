// Reads pages of daemons, several at a time. Blocking: a command has nothing else to do meanwhile.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "common/core/clock.hpp"
#include "common/core/result.hpp"
#include "common/io/http_client.hpp"

namespace svc::ctl {

/// How pages are asked for.
struct PageAccess {
  std::string token;   ///< sent as a bearer token; "" = none
  std::string tls_ca;  ///< PEM bundle that https pages are checked against; "" = the system's
};

class Pages {
 public:
  /// Error: the CA file cannot be used, named in one sentence.
  static Result<Pages> open(const PageAccess& access);

  /// GET of an absolute URL. An answer of any status is a reply; errors are HttpClient's, and of a URL that is none.
  Result<HttpReply> get(const std::string& url, Duration timeout) const;
  /// All of them at the same time, in the order of `urls`; each has the whole `timeout`.
  std::vector<Result<HttpReply>> get_all(const std::vector<std::string>& urls, Duration timeout) const;

  /// Lists of large fleets are long.
  static constexpr std::size_t kMaxBodyBytes = std::size_t{64} * 1024 * 1024;

 private:
  Pages(std::string token, TlsContext tls) : token_(std::move(token)), tls_(std::move(tls)) {}

  std::string token_;
  TlsContext tls_;
};

}  // namespace svc::ctl
