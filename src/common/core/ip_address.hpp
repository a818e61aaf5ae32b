// IP addresses and networks as values, without sockets. Parsing is strict: no octal, hexadecimal or short IPv4 forms,
// no zone identifiers. Text form of IPv6 as RFC 5952.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/core/result.hpp"

namespace svc {

class IpAddress {
 public:
  /// "10.0.0.1", "2001:db8::1". IPv4-mapped IPv6 (::ffff:a.b.c.d) becomes the IPv4 address it carries.
  [[nodiscard]] static std::optional<IpAddress> parse(std::string_view text);
  /// Network byte order; the mapped form is unwrapped here as well.
  [[nodiscard]] static IpAddress v4(std::array<std::uint8_t, 4> bytes);
  [[nodiscard]] static IpAddress v6(std::array<std::uint8_t, 16> bytes);

  [[nodiscard]] bool is_v4() const { return v4_; }
  [[nodiscard]] bool is_loopback() const;     ///< 127.0.0.0/8, ::1
  [[nodiscard]] bool is_unspecified() const;  ///< 0.0.0.0/8 ("this network", RFC 1122), ::
  [[nodiscard]] bool is_link_local() const;   ///< 169.254.0.0/16, fe80::/10
  [[nodiscard]] bool is_multicast() const;    ///< 224.0.0.0/4, ff00::/8
  [[nodiscard]] bool is_broadcast() const;    ///< 255.255.255.255
  /// The IPv4 address that a translator would send to: NAT64 64:ff9b::/96, 6to4 2002::/16, the old ::a.b.c.d.
  [[nodiscard]] std::optional<IpAddress> embedded_v4() const;

  [[nodiscard]] std::string to_string() const;
  /// 4 bytes used for IPv4 (the rest 0), 16 for IPv6; network byte order.
  [[nodiscard]] const std::array<std::uint8_t, 16>& bytes() const { return bytes_; }

  friend auto operator<=>(const IpAddress&, const IpAddress&) = default;  // NOLINT(modernize-use-nullptr): false

 private:
  IpAddress(bool v4, const std::array<std::uint8_t, 16>& bytes) : v4_(v4), bytes_(bytes) {}
  bool v4_;
  std::array<std::uint8_t, 16> bytes_;
};

/// A network: address and prefix length.
class Cidr {
 public:
  /// "10.0.0.0/8", "fd00::/8"; a bare address is a network of one. Bits set below the prefix are an error (they are
  /// usually a slip: 10.0.0.1/8), as are prefixes beyond 32 or 128. Error: client's, quotes the text.
  [[nodiscard]] static Result<Cidr> parse(std::string_view text);

  [[nodiscard]] bool contains(const IpAddress& address) const;
  [[nodiscard]] std::string to_string() const;

  friend bool operator==(const Cidr&, const Cidr&) = default;

 private:
  Cidr(const IpAddress& base, unsigned prefix) : base_(base), prefix_(prefix) {}
  IpAddress base_;
  unsigned prefix_;
};

}  // namespace svc
