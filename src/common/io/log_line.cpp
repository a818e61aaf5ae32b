#include "common/io/log_line.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <type_traits>

#include "common/core/json_text.hpp"
#include "common/core/time_text.hpp"

namespace svc {
namespace {

constexpr std::array<std::string_view, 6> kPaddedNames = {"TRACE", "DEBUG", "INFO ", "WARN ", "ERROR", "OFF  "};

bool is_control(unsigned char c) { return c < 0x20 || c == 0x7f; }

/// C1 controls (U+0080 to U+009F) steer terminals as ESC sequences do; in UTF-8 they are 0xC2 0x80..0x9F.
bool is_c1(std::string_view text, std::size_t i) {
  if (i + 1 >= text.size() || static_cast<unsigned char>(text[i]) != 0xc2) return false;
  const auto next = static_cast<unsigned char>(text[i + 1]);
  return next >= 0x80 && next <= 0x9f;
}

void append_hex(std::string& out, char c) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  const auto byte = static_cast<unsigned char>(c);
  out += "\\x";
  out += kDigits[byte >> 4U];
  out += kDigits[byte & 0xfU];
}

/// `text` is UTF-8 already.
void append_escaped(std::string& out, std::string_view text, bool quoted) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '\n') {
      out += "\\n";
    } else if (c == '\r') {
      out += "\\r";
    } else if (c == '\t') {
      out += "\\t";
    } else if (is_control(static_cast<unsigned char>(c))) {
      append_hex(out, c);
    } else if (is_c1(text, i)) {
      append_hex(out, c);
      append_hex(out, text[++i]);
    } else {
      if (quoted && (c == '"' || c == '\\')) out += '\\';
      out += c;
    }
  }
}

bool needs_quotes(std::string_view text) {
  return text.empty() || std::any_of(text.begin(), text.end(), [](char c) {
           const auto byte = static_cast<unsigned char>(c);
           return byte <= 0x20 || byte >= 0x7f || c == '"' || c == '=' || c == '\\';
         });
}

void append_text_value(std::string& out, std::string_view text) {
  if (!needs_quotes(text)) {
    out += text;
    return;
  }
  out += '"';
  append_escaped(out, valid_utf8(text), true);
  out += '"';
}

/// Times are in seconds, and no reader of a log asks for less than a millisecond of one.
double to_thousandths(double value) { return std::abs(value) < 1e12 ? std::round(value * 1000) / 1000 : value; }

void append_value(std::string& out, const FieldValue& value, bool json) {
  std::visit(
      [&](const auto& v) {
        using T = std::decay_t<decltype(v)>;
        if constexpr (std::is_same_v<T, std::string_view>) {
          json ? append_json_string(out, v) : append_text_value(out, v);
        } else if constexpr (std::is_same_v<T, bool>) {
          append_json_bool(out, v);
        } else if constexpr (std::is_same_v<T, double>) {
          append_json_double(out, to_thousandths(v));
        } else {
          append_json_int(out, v);
        }
      },
      value);
}

}  // namespace

void append_text_line(std::string& out, WallTime time, LogLevel level, std::string_view logger,
                      std::string_view message, std::span<const Field> fields) {
  out += iso8601(time);
  out += ' ';
  out += kPaddedNames.at(static_cast<std::size_t>(level));
  out += ' ';
  out += logger;
  out += ": ";
  append_escaped(out, valid_utf8(message), false);
  for (const Field& field : fields) {
    out += ' ';
    out += field.key;
    out += '=';
    append_value(out, field.value, false);
  }
}

void append_json_line(std::string& out, WallTime time, LogLevel level, std::string_view logger,
                      std::string_view message, std::span<const Field> fields) {
  out += R"({"ts":")";
  out += iso8601(time);
  out += R"(","level":")";
  out += to_string(level);
  out += R"(","logger":)";
  append_json_string(out, logger);
  out += R"(,"msg":)";
  append_json_string(out, message);
  for (const Field& field : fields) {
    out += ',';
    append_json_string(out, field.key);
    out += ':';
    append_value(out, field.value, true);
  }
  out += '}';
}

}  // namespace svc
