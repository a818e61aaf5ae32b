// An absolute http:// or https:// URL, checked, in the parts a client needs. Parsing is Boost.URL's (RFC 3986).
#pragma once

#include <string>
#include <string_view>

#include "common/core/endpoint.hpp"
#include "common/core/result.hpp"

namespace svc {

struct HttpUrl {
  bool tls = false;
  Endpoint endpoint;  ///< port 80 or 443 when the URL names none
  std::string path;   ///< "" or "/x", still percent-encoded; a trailing '/' is kept
  std::string query;  ///< without '?', still percent-encoded; "" if none

  /// What goes into the request line: path ("/" for "") and "?query".
  [[nodiscard]] std::string target() const;
  /// The URL again; the port is left out when it is the scheme's own.
  [[nodiscard]] std::string to_string() const;
  /// For the Host field: host, and the port unless it is the scheme's own.
  [[nodiscard]] std::string host_field() const;

  friend bool operator==(const HttpUrl&, const HttpUrl&) = default;
};

/// Refused: other schemes, user names, fragments, a missing or invalid host, an empty or impossible port, more than
/// 8192 bytes. Error: client's, quotes the text.
[[nodiscard]] Result<HttpUrl> parse_http_url(std::string_view text);

}  // namespace svc
