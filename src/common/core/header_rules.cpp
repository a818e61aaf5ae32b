#include "common/core/header_rules.hpp"

#include <algorithm>
#include <iterator>

#include "common/core/endpoint.hpp"
#include "common/core/head_chars.hpp"

namespace svc {
namespace {

using Refusal = std::optional<HeadRefusal>;

Refusal refuse(std::string message) { return HeadRefusal{400, std::move(message)}; }

/// "" = no problem.
Refusal refuse_if(std::string_view problem) { return problem.empty() ? Refusal{} : refuse(std::string(problem)); }

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
    return refuse_if(host_problem(field.value));
  }
  if (equal_ignoring_case(field.name, "Content-Length")) {
    if (seen.length) return refuse("Content-Length is given twice");
    seen.length = true;
    std::uint64_t length = 0;
    return refuse_if(read_content_length(field.value, length));
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
  if (disguises_framing(field.name)) return refuse("header field '" + std::string(field.name) + "' is not allowed");
  return std::nullopt;
}

}  // namespace

std::string_view read_content_length(std::string_view value, std::uint64_t& length) {
  value = trim_blanks(value);
  if (value.empty()) return "Content-Length is empty";
  if (!std::all_of(value.begin(), value.end(), [](char c) { return c >= '0' && c <= '9'; })) {
    return "Content-Length must be digits only";
  }
  // 19 digits always fit 64 bits, so the sum below cannot wrap.
  if (value.size() > 19) return "Content-Length is too large";
  std::uint64_t sum = 0;
  for (const char c : value) sum = sum * 10 + static_cast<std::uint64_t>(c - '0');
  if (sum > static_cast<std::uint64_t>(INT64_MAX)) return "Content-Length is too large";
  length = sum;
  return {};
}

std::string_view host_problem(std::string_view value) {
  constexpr std::string_view kInvalid = "Host is not valid";
  value = trim_blanks(value);
  if (value.empty()) return "Host is empty";
  std::string_view host = value;
  const std::size_t bracket = value.rfind(']');
  const std::size_t colon = value.rfind(':');
  if (colon != std::string_view::npos && (bracket == std::string_view::npos || colon > bracket)) {
    std::uint16_t port = 0;
    if (!parse_port(value.substr(colon + 1), port)) return kInvalid;
    host = value.substr(0, colon);
  }
  // valid_host also takes a bare IPv6 address, which in this field would be ambiguous.
  const bool bare_colon = !host.starts_with('[') && host.find(':') != std::string_view::npos;
  return bare_colon || !valid_host(host) ? kInvalid : std::string_view{};
}

bool disguises_framing(std::string_view name) {
  constexpr std::string_view kFraming[] = {"content-length", "transfer-encoding"};
  if (name.find('_') == std::string_view::npos) return false;
  return std::any_of(std::begin(kFraming), std::end(kFraming), [name](std::string_view real) {
    return std::equal(name.begin(), name.end(), real.begin(), real.end(),
                      [](char x, char y) { return (x == '_' ? '-' : lower_char(x)) == y; });
  });
}

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
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](char x, char y) { return lower_char(x) == lower_char(y); });
}

std::string_view trim_blanks(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

}  // namespace svc
