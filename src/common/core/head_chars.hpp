// Which bytes may stand where in a message head: tables, so that a head is judged at a byte per lookup. RFC 9110
// sections 5.5 and 5.6.2, RFC 9112 section 3.2; stricter for targets.
#pragma once

#include <array>
#include <string_view>

namespace svc {

using CharTable = std::array<bool, 256>;

namespace detail {

template <class Predicate>
constexpr CharTable char_table(Predicate holds) {
  CharTable table{};
  for (unsigned byte = 0; byte < table.size(); ++byte) table[byte] = holds(byte);
  return table;
}

constexpr bool is_token_byte(unsigned byte) {
  const bool letter = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z');
  if (letter || (byte >= '0' && byte <= '9')) return true;
  return byte != 0 && byte < 0x80 &&
         std::string_view("!#$%&'*+-.^_`|~").find(static_cast<char>(byte)) != std::string_view::npos;
}

inline constexpr CharTable kTokenBytes = char_table(is_token_byte);
inline constexpr CharTable kValueBytes =
    char_table([](unsigned byte) { return byte == '\t' || (byte >= 0x20 && byte != 0x7f); });
inline constexpr CharTable kTargetBytes =
    char_table([](unsigned byte) { return byte > 0x20 && byte < 0x7f && byte != '#'; });

}  // namespace detail

/// Of a method, a field name, an option.
[[nodiscard]] constexpr bool is_token_char(char c) { return detail::kTokenBytes[static_cast<unsigned char>(c)]; }

/// Of a field value or reason phrase: tab, blank, visible, and from 0x80; no other control characters.
[[nodiscard]] constexpr bool is_value_char(char c) { return detail::kValueBytes[static_cast<unsigned char>(c)]; }

/// Of a request target: visible ASCII but '#'.
[[nodiscard]] constexpr bool is_target_char(char c) { return detail::kTargetBytes[static_cast<unsigned char>(c)]; }

/// ASCII only.
[[nodiscard]] constexpr char lower_char(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

}  // namespace svc
