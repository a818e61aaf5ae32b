#include "router/core/retry_policy.hpp"

#include <algorithm>
#include <array>

namespace svc::router {
namespace {

/// RFC 9110 section 9.2.2.
bool idempotent(std::string_view method) {
  constexpr std::array<std::string_view, 6> kMethods = {"GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"};
  return std::find(kMethods.begin(), kMethods.end(), method) != kMethods.end();
}

enum class Kind : std::uint8_t {
  never,       ///< not the upstream's failure, or a deadline of the whole
  no_contact,  ///< no connection came to be
  died,        ///< the connection ended
  hung,        ///< declared hung
  misbehaved,  ///< it may have done the work: silence, or an answer that is none
};

Kind kind_of(FailureReason reason) {
  switch (reason) {
    case FailureReason::upstream_connect_failed:
    case FailureReason::upstream_connect_timeout:
    case FailureReason::upstream_tls_failed: return Kind::no_contact;
    case FailureReason::upstream_reset:
    case FailureReason::upstream_cut: return Kind::died;
    case FailureReason::upstream_hung: return Kind::hung;
    case FailureReason::upstream_timeout:
    case FailureReason::upstream_protocol_error: return Kind::misbehaved;
    case FailureReason::none:
    case FailureReason::bad_request:
    case FailureReason::body_too_large:
    case FailureReason::body_memory_exhausted:
    case FailureReason::request_timeout:
    case FailureReason::missing_api_key:
    case FailureReason::invalid_api_key:
    case FailureReason::model_not_allowed:
    case FailureReason::rate_limited:
    case FailureReason::token_rate_limited:
    case FailureReason::loop_detected:
    case FailureReason::method_not_allowed:
    case FailureReason::model_not_found:
    case FailureReason::no_ready_instance:
    case FailureReason::view_not_ready:
    case FailureReason::queue_full:
    case FailureReason::queue_timeout:
    case FailureReason::total_timeout:
    case FailureReason::client_gone:
    case FailureReason::draining:
    case FailureReason::connection_limit:
    case FailureReason::internal_error: return Kind::never;
  }
  return Kind::never;
}

/// May the request be sent a second time, although the first upstream may have worked on it?
bool may_repeat(const FailedAttempt& attempt, Kind kind, const RetrySettings& settings) {
  if (idempotent(attempt.method)) return kind != Kind::hung || settings.on_hung;
  if (attempt.method != "POST") return false;
  switch (kind) {
    // What has begun to answer has done at least some of the work.
    case Kind::died: return settings.resend_post && attempt.phase != AttemptPhase::answering;
    case Kind::hung: return settings.on_hung;
    case Kind::misbehaved:
      return settings.on_late && settings.resend_post && attempt.reason == FailureReason::upstream_timeout &&
             attempt.phase != AttemptPhase::answering;
    case Kind::never:
    case Kind::no_contact: return false;
  }
  return false;
}

}  // namespace

RetryVerdict judge_retry(const FailedAttempt& attempt, const RetrySettings& settings) {
  if (attempt.phase == AttemptPhase::relaying) return RetryVerdict::no;
  const bool more = attempt.retries_before < settings.max_retries;
  const auto elsewhere_if = [more](bool allowed) {
    return allowed && more ? RetryVerdict::elsewhere : RetryVerdict::no;
  };

  if (attempt.reason == FailureReason::none) {
    return elsewhere_if(attempt.phase == AttemptPhase::answering && attempt.status == 503 && settings.on_503);
  }
  const Kind kind = kind_of(attempt.reason);
  if (kind == Kind::never) return RetryVerdict::no;
  // The upstream had closed it before it saw the request; the new connection is not a reused one, so this ends.
  const bool stale = attempt.reused_connection && attempt.reason == FailureReason::upstream_reset &&
                     attempt.phase != AttemptPhase::answering;
  if (stale) return RetryVerdict::same_again;
  if (kind == Kind::no_contact || attempt.phase == AttemptPhase::connecting) return elsewhere_if(true);
  return elsewhere_if(may_repeat(attempt, kind, settings));
}

bool blames_upstream(FailureReason reason) { return kind_of(reason) != Kind::never; }

}  // namespace svc::router
