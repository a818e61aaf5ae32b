#include "common/core/header_rules.hpp"

#include <algorithm>
#include <cstdint>

#include "common/core/endpoint.hpp"

namespace svc {
namespace {

using Refusal = std::optional<HeadRefusal>;

Refusal refuse(std::string message) { return HeadRefusal{400, std::move(message)}; }

bool is_alnum(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

bool is_token_char(char c) {
  return is_alnum(c) || (c != '\0' && std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos);
}

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool is_value_char(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return c == '\t' || (byte >= 0x20 && byte != 0x7f);
}

bool is_target_char(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte > 0x20 && byte < 0x7f && c != '#';
}

Refusal check_sizes(const HeadView& head, const HeadLimits& limits) {
  if (head.target.size() > limits.max_target_bytes) {
    return HeadRefusal{414, "the request target is longer than " + std::to_string(limits.max_target_bytes) + " bytes"};
  }
  if (head.fields.size() > limits.max_fields) {
    return HeadRefusal{431, "the request has more than " + std::to_string(limits.max_fields) + " header fields"};
  }
  std::size_t total = 0;
  for (const FieldView& field : head.fields) {
    const std::size_t size = field.name.size() + field.value.size();
    total += size;
    if (size > limits.max_field_bytes) {
      return HeadRefusal{431, "a header field is longer than " + std::to_string(limits.max_field_bytes) + " bytes"};
    }
  }
  if (total > limits.max_total_bytes) {
    return HeadRefusal{431, "the header is longer than " + std::to_string(limits.max_total_bytes) + " bytes"};
  }
  return std::nullopt;
}

Refusal check_request_line(const HeadView& head) {
  if (head.version != 10 && head.version != 11) return HeadRefusal{505, "only HTTP/1.0 and HTTP/1.1 are spoken here"};
  if (!is_token(head.method)) return refuse("the method is not valid");
  if (head.method == "CONNECT") return refuse("CONNECT is not supported");
  if (head.target.empty()) return refuse("the request target is empty");
  if (!std::all_of(head.target.begin(), head.target.end(), is_target_char)) {
    return refuse("the request target has a character that is not allowed");
  }
  if (head.target == "*" && head.method == "OPTIONS") return std::nullopt;
  if (head.target.front() != '/') return refuse("the request target must start with '/'");
  return std::nullopt;
}

Refusal check_syntax(const FieldView& field) {
  if (field.name.empty()) return refuse("a header field has no name");
  if (!is_token(field.name)) return refuse("a header field's name is not valid");
  if (!std::all_of(field.value.begin(), field.value.end(), is_value_char)) {
    return refuse("the value of header field '" + std::string(field.name.substr(0, 64)) + "' has a control character");
  }
  return std::nullopt;
}

Refusal check_content_length(std::string_view value) {
  value = trim_blanks(value);
  if (value.empty()) return refuse("Content-Length is empty");
  if (!std::all_of(value.begin(), value.end(), [](char c) { return c >= '0' && c <= '9'; })) {
    return refuse("Content-Length must be digits only");
  }
  // 19 digits always fit 64 bits, so the sum below cannot wrap.
  std::uint64_t length = 0;
  if (value.size() > 19) return refuse("Content-Length is too large");
  for (const char c : value) length = length * 10 + static_cast<std::uint64_t>(c - '0');
  if (length > static_cast<std::uint64_t>(INT64_MAX)) return refuse("Content-Length is too large");
  return std::nullopt;
}

Refusal check_host(std::string_view value) {
  value = trim_blanks(value);
  if (value.empty()) return refuse("Host is empty");
  std::string_view host = value;
  const std::size_t bracket = value.rfind(']');
  const std::size_t colon = value.rfind(':');
  if (colon != std::string_view::npos && (bracket == std::string_view::npos || colon > bracket)) {
    std::uint16_t port = 0;
    if (!parse_port(value.substr(colon + 1), port)) return refuse("Host is not valid");
    host = value.substr(0, colon);
  }
  // valid_host also takes a bare IPv6 address, which in this field would be ambiguous.
  const bool bare_colon = !host.starts_with('[') && host.find(':') != std::string_view::npos;
  if (bare_colon || !valid_host(host)) return refuse("Host is not valid");
  return std::nullopt;
}

/// Content_Length: some servers behind a gateway read '_' as '-'.
bool disguised(std::string_view name) {
  if (name.find('_') == std::string_view::npos) return false;
  std::string dashed(name);
  std::replace(dashed.begin(), dashed.end(), '_', '-');
  return equal_ignoring_case(dashed, "Content-Length") || equal_ignoring_case(dashed, "Transfer-Encoding");
}

struct Seen {
  bool host = false;
  bool length = false;
  bool encoding = false;
};

Refusal check_field(const FieldView& field, int version, Seen& seen) {
  if (auto refusal = check_syntax(field)) return refusal;
  if (equal_ignoring_case(field.name, "Host")) {
    if (seen.host) return refuse("Host is given twice");
    seen.host = true;
    return check_host(field.value);
  }
  if (equal_ignoring_case(field.name, "Content-Length")) {
    if (seen.length) return refuse("Content-Length is given twice");
    seen.length = true;
    return check_content_length(field.value);
  }
  if (equal_ignoring_case(field.name, "Transfer-Encoding")) {
    if (seen.encoding) return refuse("Transfer-Encoding is given twice");
    seen.encoding = true;
    if (version == 10) return refuse("Transfer-Encoding is not allowed in HTTP/1.0");
    if (!equal_ignoring_case(trim_blanks(field.value), "chunked")) {
      return refuse("Transfer-Encoding must be exactly 'chunked'");
    }
    return std::nullopt;
  }
  if (disguised(field.name)) return refuse("header field '" + std::string(field.name) + "' is not allowed");
  return std::nullopt;
}

}  // namespace

std::optional<HeadRefusal> check_head(const HeadView& head, const HeadLimits& limits) {
  if (auto refusal = check_sizes(head, limits)) return refusal;
  if (auto refusal = check_request_line(head)) return refusal;
  Seen seen;
  for (const FieldView& field : head.fields) {
    if (auto refusal = check_field(field, head.version, seen)) return refusal;
  }
  if (seen.length && seen.encoding) return refuse("Content-Length and Transfer-Encoding together are not allowed");
  if (head.version == 11 && !seen.host) return refuse("Host is missing");
  return std::nullopt;
}

bool is_token(std::string_view text) { return !text.empty() && std::all_of(text.begin(), text.end(), is_token_char); }

bool equal_ignoring_case(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) { return lower(x) == lower(y); });
}

std::string_view trim_blanks(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

}  // namespace svc
