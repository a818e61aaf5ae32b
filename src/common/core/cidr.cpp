#include <string>

#include "common/core/ip_address.hpp"
#include "common/core/json_text.hpp"

namespace svc {
namespace {

Error bad_network(std::string_view text, std::string_view why) {
  return invalid("'" + valid_utf8(text.substr(0, 80)) + "' is not a network such as 10.0.0.0/8: " + std::string(why));
}

/// 0 to 128, digits only, no leading zero; 1000 when it is not that.
unsigned prefix_of(std::string_view text) {
  constexpr unsigned kBad = 1000;
  if (text.empty() || text.size() > 3 || (text.size() > 1 && text[0] == '0')) return kBad;
  unsigned value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return kBad;
    value = value * 10 + static_cast<unsigned>(c - '0');
  }
  return value;
}

bool bit(const std::array<std::uint8_t, 16>& bytes, unsigned index) {
  return ((bytes[index / 8] >> (7 - index % 8)) & 1) != 0;
}

}  // namespace

Result<Cidr> Cidr::parse(std::string_view text) {
  const std::size_t slash = text.find('/');
  const std::string_view address_text = text.substr(0, slash);
  const auto address = IpAddress::parse(address_text);
  if (!address) return bad_network(text, "the address is not valid");
  const unsigned width = address->is_v4() ? 32 : 128;
  if (slash == std::string_view::npos) return Cidr(*address, width);
  // ::ffff:10.0.0.0/104 would need its prefix rewritten; nobody means that form.
  if (address->is_v4() && address_text.find(':') != std::string_view::npos) {
    return bad_network(text, "write an IPv4 network in its own form");
  }
  const unsigned prefix = prefix_of(text.substr(slash + 1));
  if (prefix > width) return bad_network(text, "the prefix must be 0 to " + std::to_string(width));
  for (unsigned i = prefix; i < width; ++i) {
    if (bit(address->bytes(), i)) {
      return bad_network(text, "the address has bits set after the prefix of " + std::to_string(prefix));
    }
  }
  return Cidr(*address, prefix);
}

bool Cidr::contains(const IpAddress& address) const {
  if (address.is_v4() != base_.is_v4()) return false;
  for (unsigned i = 0; i < prefix_; ++i) {
    if (bit(address.bytes(), i) != bit(base_.bytes(), i)) return false;
  }
  return true;
}

std::string Cidr::to_string() const { return base_.to_string() + "/" + std::to_string(prefix_); }

}  // namespace svc
