// host:port as a value. Parsing is strict: what is accepted here is safe to print into a Host field or a URL.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "common/core/result.hpp"

namespace svc {

struct Endpoint {
  std::string host;  ///< DNS name, IPv4, or IPv6 without brackets; as given, not lower-cased
  std::uint16_t port = 0;

  /// "host:port", "[v6]:port".
  [[nodiscard]] std::string to_string() const;

  friend auto operator<=>(const Endpoint&, const Endpoint&) = default;  // NOLINT(modernize-use-nullptr): false
};

/// "host:port" or "[v6]:port"; the port is decimal digits, 1 to 65535. Error: client's, quotes the text.
[[nodiscard]] Result<Endpoint> parse_endpoint(std::string_view text);

/// A decimal port from 1 to 65535, digits only, at most 5 of them. False leaves `port` alone.
[[nodiscard]] bool parse_port(std::string_view text, std::uint16_t& port);

/// A DNS name (letters, digits, '-', '_'; labels 1-63, 253 in all, an ending dot allowed), an IPv4 address in plain
/// dotted form, or an IPv6 address, bare or in brackets. Names whose last label is a number are refused: resolvers read
/// them as addresses (see looks_like_odd_ipv4).
[[nodiscard]] bool valid_host(std::string_view host);

/// "[::1]" is "::1"; everything else stays as it is.
[[nodiscard]] std::string_view without_brackets(std::string_view host);

/// One text for all ways to write a host: an IPv6 address without brackets and as in RFC 5952, everything else as it is.
[[nodiscard]] std::string host_key(std::string_view host);
/// The case of names does not count.
[[nodiscard]] bool same_host(std::string_view a, std::string_view b);

/// "localhost" or a loopback address: whoever is told of it finds it on the same machine alone.
[[nodiscard]] bool is_loopback_host(std::string_view host);

}  // namespace svc
