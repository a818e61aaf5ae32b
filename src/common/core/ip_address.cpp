#include "common/core/ip_address.hpp"

#include <algorithm>
#include <cstdio>

#include "common/core/ascii.hpp"

namespace svc {
namespace {

using V4 = std::array<std::uint8_t, 4>;
using V6 = std::array<std::uint8_t, 16>;

std::optional<V4> parse_v4(std::string_view text) {
  V4 bytes{};
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    unsigned value = 0;
    std::size_t digits = 0;
    while (digits < text.size() && digits < 4 && text[digits] >= '0' && text[digits] <= '9') {
      value = value * 10 + static_cast<unsigned>(text[digits] - '0');
      ++digits;
    }
    // A leading zero is octal to some readers and decimal to others.
    if (digits == 0 || digits > 3 || value > 255 || (digits > 1 && text[0] == '0')) return std::nullopt;
    bytes[i] = static_cast<std::uint8_t>(value);
    text.remove_prefix(digits);
    if (i + 1 == bytes.size()) break;
    if (!text.starts_with('.')) return std::nullopt;
    text.remove_prefix(1);
  }
  if (!text.empty()) return std::nullopt;
  return bytes;
}

/// Groups separated by ':', the last of which may be dotted IPv4; appends bytes, at most 16 in all.
bool parse_groups(std::string_view text, V6& bytes, std::size_t& used) {
  if (text.empty()) return true;
  while (true) {
    const std::size_t colon = text.find(':');
    const std::string_view group = text.substr(0, colon);
    if (colon == std::string_view::npos && group.find('.') != std::string_view::npos) {
      const auto v4 = parse_v4(group);
      if (!v4 || used + 4 > bytes.size()) return false;
      std::copy(v4->begin(), v4->end(), bytes.begin() + static_cast<std::ptrdiff_t>(used));
      used += 4;
      return true;
    }
    if (group.empty() || group.size() > 4 || used + 2 > bytes.size()) return false;
    unsigned value = 0;
    for (const char c : group) {
      const int digit = hex_value(c);
      if (digit < 0) return false;
      value = value * 16 + static_cast<unsigned>(digit);
    }
    bytes[used++] = static_cast<std::uint8_t>(value >> 8);
    bytes[used++] = static_cast<std::uint8_t>(value & 0xff);
    if (colon == std::string_view::npos) return true;
    text.remove_prefix(colon + 1);
  }
}

std::optional<V6> parse_v6(std::string_view text) {
  V6 head{};
  std::size_t head_used = 0;
  const std::size_t gap = text.find("::");
  if (gap == std::string_view::npos) {
    if (text.empty() || !parse_groups(text, head, head_used) || head_used != head.size()) return std::nullopt;
    return head;
  }
  V6 tail{};
  std::size_t tail_used = 0;
  const std::string_view before = text.substr(0, gap);
  if (before.find('.') != std::string_view::npos) return std::nullopt;
  if (!parse_groups(before, head, head_used)) return std::nullopt;
  if (!parse_groups(text.substr(gap + 2), tail, tail_used)) return std::nullopt;
  // "::" stands for at least one group (RFC 4291 section 2.2).
  if (head_used + tail_used > head.size() - 2) return std::nullopt;
  std::copy_n(tail.begin(), tail_used, head.end() - static_cast<std::ptrdiff_t>(tail_used));
  return head;
}

std::string v4_text(const std::uint8_t* bytes) {
  std::string out;
  for (int i = 0; i < 4; ++i) {
    if (i > 0) out += '.';
    out += std::to_string(bytes[i]);
  }
  return out;
}

std::string v6_text(const V6& bytes) {
  std::array<unsigned, 8> groups{};
  for (std::size_t i = 0; i < groups.size(); ++i) groups[i] = (unsigned{bytes[2 * i]} << 8) | bytes[2 * i + 1];
  // RFC 5952: the longest run of two or more zero groups, the first of equals, becomes "::".
  std::size_t best = groups.size();
  std::size_t best_length = 1;
  for (std::size_t i = 0; i < groups.size();) {
    std::size_t end = i;
    while (end < groups.size() && groups[end] == 0) ++end;
    if (end - i > best_length) {
      best = i;
      best_length = end - i;
    }
    i = end + 1;
  }
  std::string out;
  for (std::size_t i = 0; i < groups.size(); ++i) {
    if (i == best) {
      out += "::";
      i += best_length - 1;
      continue;
    }
    if (!out.empty() && out.back() != ':') out += ':';
    char buffer[8];
    std::snprintf(buffer, sizeof buffer, "%x", groups[i]);
    out += buffer;
  }
  return out;
}

bool all_zero(const V6& bytes, std::size_t from, std::size_t to) {
  return std::all_of(bytes.begin() + static_cast<std::ptrdiff_t>(from), bytes.begin() + static_cast<std::ptrdiff_t>(to),
                     [](std::uint8_t byte) { return byte == 0; });
}

IpAddress v4_at(const V6& bytes, std::size_t at) {
  return IpAddress::v4({bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]});
}

}  // namespace

IpAddress IpAddress::v4(V4 bytes) {
  V6 stored{};
  std::copy(bytes.begin(), bytes.end(), stored.begin());
  return IpAddress(true, stored);
}

IpAddress IpAddress::v6(V6 bytes) {
  if (all_zero(bytes, 0, 10) && bytes[10] == 0xff && bytes[11] == 0xff) return v4_at(bytes, 12);
  return IpAddress(false, bytes);
}

std::optional<IpAddress> IpAddress::parse(std::string_view text) {
  if (text.size() > 45) return std::nullopt;
  if (text.find(':') == std::string_view::npos) {
    if (const auto bytes = parse_v4(text)) return v4(*bytes);
    return std::nullopt;
  }
  if (const auto bytes = parse_v6(text)) return v6(*bytes);
  return std::nullopt;
}

bool IpAddress::is_loopback() const {
  if (v4_) return bytes_[0] == 127;
  return all_zero(bytes_, 0, 15) && bytes_[15] == 1;
}

bool IpAddress::is_unspecified() const { return v4_ ? bytes_[0] == 0 : all_zero(bytes_, 0, 16); }

bool IpAddress::is_link_local() const {
  if (v4_) return bytes_[0] == 169 && bytes_[1] == 254;
  return bytes_[0] == 0xfe && (bytes_[1] & 0xc0) == 0x80;
}

bool IpAddress::is_multicast() const { return v4_ ? (bytes_[0] & 0xf0) == 0xe0 : bytes_[0] == 0xff; }

bool IpAddress::is_broadcast() const {
  return v4_ && std::all_of(bytes_.begin(), bytes_.begin() + 4, [](std::uint8_t byte) { return byte == 0xff; });
}

std::optional<IpAddress> IpAddress::embedded_v4() const {
  if (v4_) return std::nullopt;
  const bool nat64 = bytes_[0] == 0x00 && bytes_[1] == 0x64 && bytes_[2] == 0xff && bytes_[3] == 0x9b;
  if (nat64 && all_zero(bytes_, 4, 12)) return v4_at(bytes_, 12);
  if (bytes_[0] == 0x20 && bytes_[1] == 0x02) return v4_at(bytes_, 2);
  if (all_zero(bytes_, 0, 12) && !all_zero(bytes_, 12, 14)) return v4_at(bytes_, 12);
  return std::nullopt;
}

std::string IpAddress::to_string() const { return v4_ ? v4_text(bytes_.data()) : v6_text(bytes_); }

}  // namespace svc
