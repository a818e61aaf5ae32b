#include "router/core/retry_policy.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace svc::router {
namespace {

using Phase = AttemptPhase;
using Reason = FailureReason;
using Verdict = RetryVerdict;

FailedAttempt attempt_of(Reason reason, Phase phase, std::string_view method, bool reused = false) {
  FailedAttempt attempt;
  attempt.reason = reason;
  attempt.phase = phase;
  attempt.method = method;
  attempt.reused_connection = reused;
  return attempt;
}

// The specification. Columns: reason, phase, reused connection, then what happens to GET, POST and PATCH.
struct RetryCase {
  Reason reason;
  Phase phase;
  bool reused;
  Verdict get, post, patch;
};
constexpr Verdict kNo = Verdict::no;
constexpr Verdict kElse = Verdict::elsewhere;
constexpr Verdict kSame = Verdict::same_again;
constexpr RetryCase kTable[] = {
    // Nothing was sent.
    {Reason::upstream_connect_failed, Phase::connecting, false, kElse, kElse, kElse},
    {Reason::upstream_connect_timeout, Phase::connecting, false, kElse, kElse, kElse},
    {Reason::upstream_tls_failed, Phase::connecting, false, kElse, kElse, kElse},
    {Reason::upstream_reset, Phase::connecting, false, kElse, kElse, kElse},
    {Reason::upstream_hung, Phase::connecting, false, kElse, kElse, kElse},
    // The pooled connection was closed already.
    {Reason::upstream_reset, Phase::sending, true, kSame, kSame, kSame},
    {Reason::upstream_reset, Phase::waiting, true, kSame, kSame, kSame},
    {Reason::upstream_reset, Phase::answering, true, kElse, kNo, kNo},
    // The instance died.
    {Reason::upstream_reset, Phase::sending, false, kElse, kElse, kNo},
    {Reason::upstream_reset, Phase::waiting, false, kElse, kElse, kNo},
    {Reason::upstream_reset, Phase::answering, false, kElse, kNo, kNo},
    {Reason::upstream_cut, Phase::answering, false, kElse, kNo, kNo},
    // It hangs.
    {Reason::upstream_hung, Phase::sending, false, kElse, kElse, kNo},
    {Reason::upstream_hung, Phase::waiting, false, kElse, kElse, kNo},
    {Reason::upstream_hung, Phase::waiting, true, kElse, kElse, kNo},
    // It may have done the work.
    {Reason::upstream_timeout, Phase::waiting, false, kElse, kNo, kNo},
    {Reason::upstream_timeout, Phase::waiting, true, kElse, kNo, kNo},
    {Reason::upstream_protocol_error, Phase::answering, false, kElse, kNo, kNo},
    // Not the upstream's doing.
    {Reason::client_gone, Phase::waiting, false, kNo, kNo, kNo},
    {Reason::client_gone, Phase::connecting, false, kNo, kNo, kNo},
    {Reason::total_timeout, Phase::connecting, false, kNo, kNo, kNo},
    {Reason::total_timeout, Phase::waiting, false, kNo, kNo, kNo},
    {Reason::request_timeout, Phase::sending, false, kNo, kNo, kNo},
    {Reason::internal_error, Phase::waiting, false, kNo, kNo, kNo},
};

TEST(RetryPolicy, Table) {
  for (const RetryCase& c : kTable) {
    const auto verdict = [&](std::string_view method) {
      return judge_retry(attempt_of(c.reason, c.phase, method, c.reused), RetrySettings{});
    };
    const auto where = std::string(to_string(c.reason)) + " in phase " + std::to_string(static_cast<int>(c.phase));
    EXPECT_EQ(verdict("GET"), c.get) << where;
    EXPECT_EQ(verdict("POST"), c.post) << where;
    EXPECT_EQ(verdict("PATCH"), c.patch) << where;
    for (const std::string_view method : {"HEAD", "OPTIONS", "PUT", "DELETE"})
      EXPECT_EQ(verdict(method), c.get) << where;
    for (const std::string_view method : {"get", "LOCK", ""}) EXPECT_EQ(verdict(method), c.patch) << where;
  }
}

TEST(RetryPolicy, ClientHasBytes_NeverAgain) {
  for (std::size_t i = 0; i < kFailureReasons; ++i) {
    auto attempt = attempt_of(static_cast<Reason>(i), Phase::relaying, "GET", true);
    attempt.status = 503;
    EXPECT_EQ(judge_retry(attempt, RetrySettings{}), kNo) << i;
  }
}

TEST(RetryPolicy, Answer503_GoesElsewhereForEveryMethod) {
  auto attempt = attempt_of(Reason::none, Phase::answering, "PATCH");
  attempt.status = 503;
  EXPECT_EQ(judge_retry(attempt, RetrySettings{}), kElse);
  RetrySettings off;
  off.on_503 = false;
  EXPECT_EQ(judge_retry(attempt, off), kNo);
  for (const int status : {200, 400, 404, 429, 500, 502, 504}) {
    attempt.status = status;
    EXPECT_EQ(judge_retry(attempt, RetrySettings{}), kNo) << status;
  }
}

TEST(RetryPolicy, Switches_TurnRepeatingOff) {
  RetrySettings settings;
  settings.resend_post = false;
  EXPECT_EQ(judge_retry(attempt_of(Reason::upstream_reset, Phase::waiting, "POST"), settings), kNo);
  EXPECT_EQ(judge_retry(attempt_of(Reason::upstream_reset, Phase::waiting, "GET"), settings), kElse);
  EXPECT_EQ(judge_retry(attempt_of(Reason::upstream_reset, Phase::waiting, "POST", true), settings), kSame);
  EXPECT_EQ(judge_retry(attempt_of(Reason::upstream_connect_failed, Phase::connecting, "POST"), settings), kElse);
  EXPECT_EQ(judge_retry(attempt_of(Reason::upstream_hung, Phase::waiting, "POST"), settings), kElse);
  settings = RetrySettings{};
  settings.on_hung = false;
  EXPECT_EQ(judge_retry(attempt_of(Reason::upstream_hung, Phase::waiting, "POST"), settings), kNo);
  EXPECT_EQ(judge_retry(attempt_of(Reason::upstream_hung, Phase::waiting, "GET"), settings), kNo);
  EXPECT_EQ(judge_retry(attempt_of(Reason::upstream_hung, Phase::connecting, "GET"), settings), kElse);
}

TEST(RetryPolicy, LateFirstByte_GoesElsewhereWhereItHasADeadlineOfItsOwn) {
  RetrySettings settings;
  settings.on_late = true;
  EXPECT_EQ(judge_retry(attempt_of(Reason::upstream_timeout, Phase::waiting, "POST"), settings), kElse);
  EXPECT_EQ(judge_retry(attempt_of(Reason::upstream_timeout, Phase::answering, "POST"), settings), kNo);
  EXPECT_EQ(judge_retry(attempt_of(Reason::upstream_timeout, Phase::waiting, "PATCH"), settings), kNo);
  EXPECT_EQ(judge_retry(attempt_of(Reason::upstream_protocol_error, Phase::answering, "POST"), settings), kNo);
  settings.resend_post = false;
  EXPECT_EQ(judge_retry(attempt_of(Reason::upstream_timeout, Phase::waiting, "POST"), settings), kNo);
}

TEST(RetryPolicy, MaxRetries_Ends) {
  auto attempt = attempt_of(Reason::upstream_connect_failed, Phase::connecting, "GET");
  attempt.retries_before = 1;
  EXPECT_EQ(judge_retry(attempt, RetrySettings{}), kElse);
  attempt.retries_before = 2;
  EXPECT_EQ(judge_retry(attempt, RetrySettings{}), kNo);
  attempt = attempt_of(Reason::upstream_reset, Phase::waiting, "GET", true);
  attempt.retries_before = 2;
  EXPECT_EQ(judge_retry(attempt, RetrySettings{}), kSame);  // it is the same try, on a working connection
}

TEST(RetryPolicy, Blame_IsForWhatTheUpstreamDid) {
  std::vector<std::string_view> blamed;
  for (std::size_t i = 0; i < kFailureReasons; ++i) {
    if (blames_upstream(static_cast<Reason>(i))) blamed.push_back(to_string(static_cast<Reason>(i)));
  }
  const std::vector<std::string_view> expected = {"upstream_connect_failed", "upstream_connect_timeout",
                                                  "upstream_tls_failed",     "upstream_reset",
                                                  "upstream_timeout",        "upstream_hung",
                                                  "upstream_protocol_error", "upstream_cut"};
  EXPECT_EQ(blamed, expected);
}

}  // namespace
}  // namespace svc::router
