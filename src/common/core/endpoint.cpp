#include "common/core/endpoint.hpp"

#include <algorithm>

#include "common/core/address_policy.hpp"
#include "common/core/header_rules.hpp"
#include "common/core/ip_address.hpp"
#include "common/core/json_text.hpp"

namespace svc {
namespace {

bool is_alnum(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

bool valid_label(std::string_view label) {
  if (label.empty() || label.size() > 63) return false;
  if (label.front() == '-' || label.back() == '-') return false;
  return std::all_of(label.begin(), label.end(), [](char c) { return is_alnum(c) || c == '-' || c == '_'; });
}

bool valid_dns_name(std::string_view name) {
  if (name.ends_with('.')) name.remove_suffix(1);
  if (name.empty() || name.size() > 253) return false;
  while (true) {
    const std::size_t dot = name.find('.');
    if (!valid_label(name.substr(0, dot))) return false;
    if (dot == std::string_view::npos) return true;
    name.remove_prefix(dot + 1);
  }
}

bool is_ipv6(std::string_view text) {
  return text.find(':') != std::string_view::npos && IpAddress::parse(text).has_value();
}

Error bad_endpoint(std::string_view text, std::string_view why) {
  return invalid("'" + valid_utf8(text.substr(0, 300)) + "' is not host:port: " + std::string(why));
}

}  // namespace

std::string Endpoint::to_string() const {
  const bool brackets = host.find(':') != std::string::npos;
  return (brackets ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

bool parse_port(std::string_view text, std::uint16_t& port) {
  if (text.empty() || text.size() > 5) return false;
  unsigned value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return false;
    value = value * 10 + static_cast<unsigned>(c - '0');
  }
  if (value == 0 || value > 65535) return false;
  port = static_cast<std::uint16_t>(value);
  return true;
}

bool valid_host(std::string_view host) {
  if (host.starts_with('[')) {
    return host.ends_with(']') && host.size() > 2 && is_ipv6(host.substr(1, host.size() - 2));
  }
  if (is_ipv6(host)) return true;
  if (!valid_dns_name(host)) return false;  // as IPv4 addresses are too
  return !looks_like_odd_ipv4(host);
}

std::string_view without_brackets(std::string_view host) {
  const bool brackets = host.size() > 2 && host.front() == '[' && host.back() == ']';
  return brackets ? host.substr(1, host.size() - 2) : host;
}

std::string host_key(std::string_view host) {
  const std::string_view bare = without_brackets(host);
  if (bare.find(':') == std::string_view::npos) return std::string(host);
  const auto address = IpAddress::parse(bare);
  return address ? address->to_string() : std::string(host);
}

bool same_host(std::string_view a, std::string_view b) {
  if (equal_ignoring_case(a, b)) return true;
  const bool may_be = a.find(':') != std::string_view::npos || b.find(':') != std::string_view::npos;
  return may_be && host_key(a) == host_key(b);
}

bool is_loopback_host(std::string_view host) {
  const auto address = IpAddress::parse(without_brackets(host));
  return host == "localhost" || (address && address->is_loopback());
}

Result<Endpoint> parse_endpoint(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return bad_endpoint(text, "the port is missing");
  std::string_view host = text.substr(0, colon);
  const bool brackets = host.starts_with('[');
  if (!brackets && host.find(':') != std::string_view::npos) {
    return bad_endpoint(text, "an IPv6 address needs brackets");
  }
  if (!valid_host(host)) return bad_endpoint(text, "the host is not valid");
  Endpoint endpoint{std::string(without_brackets(host)), 0};
  if (!parse_port(text.substr(colon + 1), endpoint.port)) {
    return bad_endpoint(text, "the port must be a number from 1 to 65535");
  }
  return endpoint;
}

}  // namespace svc
