// Which field a name is, for those that the router treats specially.
#pragma once

#include <cstdint>
#include <string_view>

namespace svc::router {

enum class FieldKind : std::uint8_t {
  other,
  underscored,  ///< any name with '_': some servers read it as '-', so that it is not forwarded
  authorization,
  connection,
  content_encoding,
  content_length,
  content_type,
  expect,
  forwarded,  ///< Forwarded, X-Real-IP, and every X-Forwarded-* that has no kind of its own
  forwarded_for,
  forwarded_host,
  forwarded_proto,
  hop_by_hop,  ///< Keep-Alive, Proxy-*, TE, Trailer, HTTP2-Settings (RFC 9110 section 7.6.1 and older)
  host,
  request_id,
  retry_after,
  route,  ///< X-Router-Upstream, X-Router-Attempts
  traceparent,
  tracestate,
  transfer_encoding,
  upgrade,
  user_agent,
  via,
};

/// `name` must be a token (not empty). ASCII case does not matter.
[[nodiscard]] FieldKind field_kind(std::string_view name);

}  // namespace svc::router
