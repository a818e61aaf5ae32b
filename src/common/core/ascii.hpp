// Characters of protocols, which are ASCII whatever the locale says. Any thread.
#pragma once

namespace svc {

[[nodiscard]] constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// 0 to 15; -1: not a hexadecimal digit.
[[nodiscard]] constexpr int hex_value(char c) {
  if (is_digit(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

[[nodiscard]] constexpr bool is_hex(char c) { return hex_value(c) >= 0; }

}  // namespace svc
