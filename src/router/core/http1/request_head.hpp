// Reads a request head in one pass, strictly: what svc::check_head refuses is refused here too, and every view points
// into the caller's bytes. For the data path, where a general parser costs more than the rest of the router.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "common/core/header_rules.hpp"
#include "router/core/http1/field_kind.hpp"

namespace svc::router {

/// Limits of the data path. Beyond them: 414 (target), 431 (fields), as in common/core/header_rules.hpp.
struct RequestHeadLimits {
  std::size_t head_bytes = 32 * 1024;  ///< request line and fields with their line ends
  HeadLimits fields;
};

/// A head that was read. Views into the buffer; reused from request to request (clear() keeps the storage).
struct RequestHead {
  static constexpr std::size_t kMaxFields = 128;  ///< hard; limits.fields.max_fields is lower or equal

  std::string_view method, target;
  std::string_view path, query;  ///< of the origin-form target: "/v1/models", "a=b" ("" without '?')
  int version = 11;              ///< 10 or 11
  std::array<FieldView, kMaxFields> field_storage;
  std::array<FieldKind, kMaxFields> kind_storage;  ///< of the field at the same place
  std::size_t field_count = 0;

  // What the router needs to know of the fields, found in the same pass. Values are trimmed.
  std::string_view host;
  std::optional<std::uint64_t> content_length;
  bool chunked = false;
  bool keep_alive = true;        ///< after this exchange, as far as the client is concerned
  bool expect_continue = false;  ///< "Expect: 100-continue" (any other expectation is refused with 417)
  bool wants_upgrade = false;    ///< Upgrade: websocket with Connection: upgrade, on HTTP/1.1, without a body
  std::string_view upgrade;      ///< its value
  std::string_view content_type, authorization, forwarded_for, forwarded_proto, forwarded_host, request_id, traceparent,
      tracestate, via, user_agent;
  bool more_forwarded_for = false;  ///< the field came more than once (the others: the first counts)
  std::array<std::string_view, 16> connection_options;  ///< tokens of Connection, "close" and "keep-alive" left out
  std::size_t connection_option_count = 0;

  [[nodiscard]] std::span<const FieldView> fields() const { return {field_storage.data(), field_count}; }
  [[nodiscard]] bool has_body() const { return chunked || content_length.value_or(0) > 0; }
  [[nodiscard]] std::string_view field(std::string_view name) const;  ///< first of that name, trimmed; "" if none
};

enum class HeadState : std::uint8_t { incomplete, complete, refused };

struct HeadReading {
  HeadState state = HeadState::incomplete;
  std::size_t bytes = 0;  ///< complete: length of the head with its blank line (and blank lines before it)
  HeadRefusal refusal;    ///< refused: answer it and close
};

/// `buffer`: all bytes of this request so far. `scanned`: how many of them an earlier call that returned `incomplete`
/// has seen (0 at first), so that a head that drips in costs linear time. At most two empty lines (CRLF) may precede
/// the request line. Refused beyond what check_head says: a bare LF or CR anywhere in the head, folded lines, a head
/// that is longer than the limit (431), more than 16 Connection options, Transfer-Encoding with a version below 1.1,
/// duplicate Content-Length, an HTTP/2 preface or a TLS hello (400), "Expect" of another kind (417), an absolute-form
/// target whose authority differs from Host. Absolute-form targets of http and https are taken in origin form. Field
/// names with '_' are legal but are dropped when forwarding (forward_head).
[[nodiscard]] HeadReading read_request_head(std::string_view buffer, std::size_t scanned,
                                            const RequestHeadLimits& limits, RequestHead& head);

}  // namespace svc::router
