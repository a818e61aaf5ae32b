// May a failed attempt be made again, elsewhere? Pure decisions; the table test is the specification.
#pragma once

#include <cstdint>
#include <string_view>

#include "router/core/failure_reason.hpp"

namespace svc::router {

/// How far an attempt came before it failed.
enum class AttemptPhase : std::uint8_t {
  connecting,  ///< nothing of the request can have been processed
  sending,     ///< some of the request was sent
  waiting,     ///< all of it was sent, no byte of the answer was seen
  answering,   ///< bytes of the answer were seen, none was sent to the client
  relaying,    ///< the client has bytes of this answer
};

struct RetrySettings {
  unsigned max_retries = 2;     ///< of one request
  bool resend_post = true;      ///< a POST whose instance died before answering is sent again elsewhere
  bool on_503 = true;           ///< an answer of 503 counts as "not processed" while others are left
  bool on_hung = true;          ///< take requests that wait back from an instance that is declared hung
  bool on_late = false;         ///< silence before the first byte has a deadline of its own: then as a death
  double budget_share = 0.2;    ///< retries over requests, of the last ten seconds
  unsigned budget_minimum = 3;  ///< retries a second that are always allowed
};

struct FailedAttempt {
  FailureReason reason = FailureReason::none;
  AttemptPhase phase = AttemptPhase::connecting;
  bool reused_connection = false;  ///< it had served before: closed before the first byte proves nothing was processed
  int status = 0;                  ///< of the answer, for phase answering
  std::string_view method;
  unsigned retries_before = 0;
};

enum class RetryVerdict : std::uint8_t {
  no,
  same_again,  ///< stale pooled connection: once more, on a new connection, even to the same upstream; costs no budget
  elsewhere,   ///< on another upstream, if the budget allows it
};
/// Idempotent methods (RFC 9110) may go elsewhere after any failure of the upstream, POST after a death (resend_post)
/// or a hang (on_hung) but not after silence (unless on_late) or a malformed answer, other methods only when nothing was sent. An answer
/// of the upstream is judged with reason none and its status.
[[nodiscard]] RetryVerdict judge_retry(const FailedAttempt& attempt, const RetrySettings& settings);

/// Does the failure count against the upstream (passive health)? Never for what the client did, nor for 4xx.
[[nodiscard]] bool blames_upstream(FailureReason reason);

}  // namespace svc::router
