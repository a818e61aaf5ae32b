// Reads the head of an upstream's answer in one pass and decides how its body is delimited (RFC 9112 section 6.3).
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "common/core/header_rules.hpp"
#include "router/core/http1/field_kind.hpp"
#include "router/core/http1/request_head.hpp"

namespace svc::router {

enum class BodyFraming : std::uint8_t { none, length, chunked, until_close };

struct ResponseHead {
  int status = 0;           ///< 100..599
  int version = 11;         ///< 10 or 11
  std::string_view reason;  ///< may be ""
  std::array<FieldView, RequestHead::kMaxFields> field_storage;
  std::array<FieldKind, RequestHead::kMaxFields> kind_storage;  ///< of the field at the same place
  std::size_t field_count = 0;

  BodyFraming framing = BodyFraming::none;  ///< for `request_method` and the status as given to read_response_head
  std::uint64_t content_length = 0;         ///< with BodyFraming::length; also for HEAD and 304, whose framing is none
  bool has_content_length = false;
  bool keep_alive = true;     ///< the upstream lets the connection be used again
  bool event_stream = false;  ///< Content-Type is text/event-stream
  bool json = false;          ///< Content-Type is application/json or .../*+json
  std::string_view content_encoding, retry_after, upgrade;
  std::array<std::string_view, 16> connection_options;
  std::size_t connection_option_count = 0;

  [[nodiscard]] std::span<const FieldView> fields() const { return {field_storage.data(), field_count}; }
};

struct ResponseReading {
  HeadState state = HeadState::incomplete;  ///< refused: answer 502, close the upstream connection
  std::size_t bytes = 0;
  std::string problem;  ///< refused: what was wrong, for the log
};

/// As read_request_head. Refused: another version than 1.0 and 1.1, a status that is not three digits from 100 to
/// 599, names that are no tokens (also blank before the colon), NUL, CR, LF or other control characters in values,
/// obsolete folding, Content-Length that is empty, signed, no number, above 2^63-1, or given twice with different
/// values (twice the same value is taken once), Transfer-Encoding that is not exactly "chunked" or stands beside
/// Content-Length or on HTTP/1.0, 101 that was not asked for (`upgrade_asked`), more than the limits. A bare LF as
/// line end is refused. 1xx other than 101: complete, with framing none; the caller reads on.
[[nodiscard]] ResponseReading read_response_head(std::string_view buffer, std::size_t scanned,
                                                 std::string_view request_method, bool upgrade_asked,
                                                 const RequestHeadLimits& limits, ResponseHead& head);

}  // namespace svc::router
