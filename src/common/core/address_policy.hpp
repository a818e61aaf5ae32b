// Which addresses this process may be told to connect to (server-side request forgery through a registration).
// Apply it both when a target is accepted and again to every resolved address at connect time: DNS may change.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/core/ip_address.hpp"

namespace svc {

struct AddressPolicy {
  std::vector<Cidr> allow;        ///< when not empty, only these networks
  bool refuse_link_local = true;  ///< 169.254/16, fe80::/10, fd00:ec2::254: cloud metadata services live there

  /// nullopt = fine; else the reason, as a phrase: "169.254.169.254 is a link-local address". Unspecified, multicast
  /// and broadcast addresses are always refused. IPv4 inside NAT64, 6to4 and v4-compatible forms is judged as well.
  [[nodiscard]] std::optional<std::string> refusal(const IpAddress& address) const;
};

/// A host that a resolver may read as an IPv4 address though it is not one in plain dotted form: its last label is a
/// number (decimal, octal, 0x...). 2130706433, 0x7f.1, 0177.0.0.1, 127.1, 1.2.3.4.5, 256.1.1.1. The rule is the
/// WHATWG URL standard's "ends in a number".
[[nodiscard]] bool looks_like_odd_ipv4(std::string_view host);

}  // namespace svc
