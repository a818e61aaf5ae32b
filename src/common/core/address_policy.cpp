#include "common/core/address_policy.hpp"

#include <algorithm>

#include "common/core/ascii.hpp"

namespace svc {
namespace {

bool is_number(std::string_view label) {
  if (label.empty()) return false;
  if (std::all_of(label.begin(), label.end(), is_digit)) return true;
  if (!label.starts_with("0x") && !label.starts_with("0X")) return false;
  return std::all_of(label.begin() + 2, label.end(), is_hex);  // "0x" alone reads as 0
}

// EC2's instance metadata over IPv6.
const IpAddress& ec2_metadata() {
  static const IpAddress address = IpAddress::v6({0xfd, 0x00, 0x0e, 0xc2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x02, 0x54});
  return address;
}

std::string_view forbidden_kind(const IpAddress& address, bool refuse_link_local) {
  if (address.is_unspecified()) return "an unspecified address";
  if (address.is_multicast()) return "a multicast address";
  if (address.is_broadcast()) return "the broadcast address";
  if (refuse_link_local && address.is_link_local()) return "a link-local address";
  if (refuse_link_local && address == ec2_metadata()) return "a cloud metadata address";
  return {};
}

}  // namespace

std::optional<std::string> AddressPolicy::refusal(const IpAddress& address) const {
  if (const auto kind = forbidden_kind(address, refuse_link_local); !kind.empty()) {
    return address.to_string() + " is " + std::string(kind);
  }
  if (const auto inner = address.embedded_v4()) {
    if (const auto kind = forbidden_kind(*inner, refuse_link_local); !kind.empty()) {
      return address.to_string() + " leads to " + inner->to_string() + ", " + std::string(kind);
    }
  }
  if (allow.empty()) return std::nullopt;
  const bool allowed = std::any_of(allow.begin(), allow.end(), [&](const Cidr& net) { return net.contains(address); });
  if (allowed) return std::nullopt;
  return address.to_string() + " is in none of the allowed networks";
}

bool looks_like_odd_ipv4(std::string_view host) {
  const std::string_view name = host.ends_with('.') ? host.substr(0, host.size() - 1) : host;
  const std::size_t dot = name.rfind('.');
  const std::string_view last = dot == std::string_view::npos ? name : name.substr(dot + 1);
  return is_number(last) && !IpAddress::parse(host);
}

}  // namespace svc
