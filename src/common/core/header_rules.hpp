// Whether a request head may be acted on at all: framing, Host, target, method, field syntax and limits. Stricter than
// the parser beneath, because two readers that disagree about one message is how requests are smuggled. Plain views, so
// that any parser can feed it. Rules: RFC 9112 (sections 3.2, 5, 6.3), RFC 9110 (5.5, 7.2).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace svc {

struct FieldView {
  std::string_view name;
  std::string_view value;  ///< leading and trailing blanks may still be there
};

struct HeadView {
  std::string_view method;
  std::string_view target;
  int version = 11;  ///< 10 or 11
  std::span<const FieldView> fields;
};

struct HeadLimits {
  std::size_t max_fields = 100;
  std::size_t max_field_bytes = 8 * 1024;  ///< name + value of one field
  std::size_t max_target_bytes = 8 * 1024;
  std::size_t max_total_bytes = 32 * 1024;  ///< all names and values together
};

/// The answer that a refused head gets. The connection must be closed after it: what follows cannot be trusted.
struct HeadRefusal {
  int status = 400;  ///< 400, 414, 431 or 505
  std::string message;
};

/// nullopt = fine. Linear in the size of the head; counts are compared before anything is scanned.
///  - method: a token; CONNECT is refused
///  - target: "/..." (or "*" with OPTIONS); no controls, blanks, '#' or bytes from 0x80
///  - fields: names are tokens; values have no NUL, control characters or DEL
///  - Content-Length: at most one field, digits only, at most 2^63-1; Content_Length and Transfer_Encoding are refused
///  - Transfer-Encoding: exactly one field that says exactly "chunked", never with Content-Length, never on HTTP/1.0
///  - Host: exactly one on HTTP/1.1, at most one on 1.0; host[:port] as valid_host and parse_port have it, IPv6 in
///    brackets
[[nodiscard]] std::optional<HeadRefusal> check_head(const HeadView& head, const HeadLimits& limits = {});

// Single rules of check_head, for readers that do it all in one pass. The problem as a sentence without a full stop;
// "" = fine.

/// Sets `length` when fine.
[[nodiscard]] std::string_view read_content_length(std::string_view value, std::uint64_t& length);
[[nodiscard]] std::string_view host_problem(std::string_view value);

/// Content_Length, Transfer_Encoding: some servers behind a gateway read '_' as '-'.
[[nodiscard]] bool disguises_framing(std::string_view name);

/// RFC 9110 section 5.6.2: one or more of the token characters.
[[nodiscard]] bool is_token(std::string_view text);

/// ASCII only, as field names and scheme names compare.
[[nodiscard]] bool equal_ignoring_case(std::string_view a, std::string_view b);

/// Without leading and trailing space and tab.
[[nodiscard]] std::string_view trim_blanks(std::string_view text);

}  // namespace svc
