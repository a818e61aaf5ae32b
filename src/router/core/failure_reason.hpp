// Every reason for which the router itself answers, or ends an answer: the `code` of the error object, the label of the
// metric, the word in the access log, and the row in docs/failure-reasons.md (a test compares them). Closed set.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace svc::router {

enum class FailureReason : std::uint8_t {
  none,
  bad_request,               ///< malformed HTTP; 400 (or 414, 431, 505), connection closed
  body_too_large,            ///< 413
  body_memory_exhausted,     ///< the sum of buffered bodies is at its cap; 503
  request_timeout,           ///< the client did not finish its request; 408
  missing_api_key,           ///< 401
  invalid_api_key,           ///< 401
  model_not_allowed,         ///< the key may not use the model; 403
  rate_limited,              ///< requests per minute; 429
  token_rate_limited,        ///< tokens per minute; 429
  loop_detected,             ///< came back to this router; 508
  method_not_allowed,        ///< own endpoint, other method; 405
  model_not_found,           ///< no instance of any state serves it; 404 (or 503 by configuration)
  no_ready_instance,         ///< some serve it, none can take work; 503
  view_not_ready,            ///< nothing is known of any instance yet; 503
  queue_full,                ///< 429
  queue_timeout,             ///< waited its time; 503
  upstream_connect_failed,   ///< 502
  upstream_connect_timeout,  ///< 504
  upstream_tls_failed,       ///< 502
  upstream_reset,            ///< closed before the first byte; 502
  upstream_timeout,          ///< no first byte, or silence in the middle, for proxy_timeout; 504
  upstream_hung,             ///< declared hung before the first byte: the request went elsewhere; never an answer
  upstream_protocol_error,   ///< malformed answer; 502
  upstream_cut,              ///< the answer broke off in the middle; no status, the connection is closed
  total_timeout,             ///< proxy_total_timeout; 504 before the first byte, else closed
  client_gone,               ///< the client left; 499 in the log, nothing is sent
  draining,                  ///< this router is going down; 503
  connection_limit,          ///< too many connections; 503 or 429
  internal_error,            ///< 500
};
inline constexpr std::size_t kFailureReasons = static_cast<std::size_t>(FailureReason::internal_error) + 1;

[[nodiscard]] std::string_view to_string(FailureReason reason);  ///< "queue_full"; none is ""
[[nodiscard]] int http_status(FailureReason reason);             ///< of the answer; 0 for none
/// OpenAI's `type`: "invalid_request_error", "authentication_error", "permission_error", "rate_limit_error",
/// "server_error".
[[nodiscard]] std::string_view error_type(FailureReason reason);

/// {"error":{"message":...,"type":...,"param":null,"code":"queue_full"}}; `param` as a string when not empty.
[[nodiscard]] std::string openai_error(FailureReason reason, std::string_view message, std::string_view param = {});

}  // namespace svc::router
