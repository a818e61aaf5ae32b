// JSON written straight into a string: for hot paths that print thousands of records, where a DOM would cost more.
// All of them append; none adds blanks.
#pragma once

#include <charconv>
#include <concepts>
#include <string>
#include <string_view>

namespace svc {

/// Quotes and escapes as RFC 8259 needs ('"', '\\', below 0x20) and DEL; bytes that are not UTF-8 become U+FFFD.
void append_json_string(std::string& out, std::string_view text);

/// The shortest text that reads back to the same double, always with '.' or exponent ("1.0"); NaN and infinities: null.
void append_json_double(std::string& out, double value);

template <std::integral Int>
void append_json_int(std::string& out, Int value) {
  char buffer[24];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, value).ptr;
  out.append(buffer, end);
}
template <>
void append_json_int<bool>(std::string& out, bool value) = delete;
template <>
void append_json_int<char>(std::string& out, char value) = delete;

inline void append_json_bool(std::string& out, bool value) { out += value ? "true" : "false"; }

/// The text with every byte that is not UTF-8 replaced by U+FFFD, for logs and error messages.
[[nodiscard]] std::string valid_utf8(std::string_view text);

}  // namespace svc
