#include "router/core/retry_policy.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace svc::router {
namespace {

using namespace std::chrono_literals;
using Phase = AttemptPhase;
using Reason = FailureReason;
using Verdict = RetryVerdict;

constexpr TimePoint kStart{1000s};
constexpr Phase kPhases[] = {Phase::connecting, Phase::sending, Phase::waiting, Phase::answering, Phase::relaying};

FailedAttempt attempt_of(Reason reason, Phase phase, std::string_view method, bool reused = false) {
  FailedAttempt attempt;
  attempt.reason = reason;
  attempt.phase = phase;
  attempt.method = method;
  attempt.reused_connection = reused;
  return attempt;
}

// The specification. Columns: reason, phase, reused connection, then what happens to GET, POST and PATCH.
struct Case {
  Reason reason;
  Phase phase;
  bool reused;
  Verdict get, post, patch;
};
constexpr Verdict kNo = Verdict::no;
constexpr Verdict kElse = Verdict::elsewhere;
constexpr Verdict kSame = Verdict::same_again;
constexpr Case kTable[] = {
    // Nothing was sent.
    {Reason::upstream_connect_failed, Phase::connecting, false, kElse, kElse, kElse},
    {Reason::upstream_connect_timeout, Phase::connecting, false, kElse, kElse, kElse},
    {Reason::upstream_tls_failed, Phase::connecting, false, kElse, kElse, kElse},
    {Reason::upstream_reset, Phase::connecting, false, kElse, kElse, kElse},
    {Reason::upstream_hung, Phase::connecting, false, kElse, kElse, kElse},
    // The pooled connection was closed already.
    {Reason::upstream_reset, Phase::sending, true, kSame, kSame, kSame},
    {Reason::upstream_reset, Phase::waiting, true, kSame, kSame, kSame},
    {Reason::upstream_reset, Phase::answering, true, kElse, kElse, kNo},
    // The instance died.
    {Reason::upstream_reset, Phase::sending, false, kElse, kElse, kNo},
    {Reason::upstream_reset, Phase::waiting, false, kElse, kElse, kNo},
    {Reason::upstream_reset, Phase::answering, false, kElse, kElse, kNo},
    {Reason::upstream_cut, Phase::answering, false, kElse, kElse, kNo},
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
  for (const Case& c : kTable) {
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

int retries_allowed(RetryBudget& budget, TimePoint now, int wanted) {
  int allowed = 0;
  for (int i = 0; i < wanted; ++i) allowed += budget.try_retry(now, RetrySettings{}) ? 1 : 0;
  return allowed;
}

TEST(RetryBudget, FifthOfTheRequestsOfTenSeconds) {
  RetryBudget budget(kStart);
  for (int second = 0; second < 10; ++second) {
    for (int i = 0; i < 100; ++i) budget.count_request(kStart + second * 1s);
  }
  EXPECT_EQ(retries_allowed(budget, kStart + 9s, 1000), 200);
  EXPECT_EQ(retries_allowed(budget, kStart + 9900ms, 1000), 0);
  // The first second's requests leave the window; its retries are still in it, but three a second are always allowed.
  EXPECT_EQ(retries_allowed(budget, kStart + 10s, 1000), 3);
  EXPECT_EQ(retries_allowed(budget, kStart + 1h, 1000), 3);
}

TEST(RetryBudget, Minimum_IsPerSecond) {
  RetryBudget budget(kStart);
  for (int second = 0; second < 25; ++second) EXPECT_EQ(retries_allowed(budget, kStart + second * 1s, 10), 3) << second;
  EXPECT_EQ(retries_allowed(budget, kStart, 10), 0);  // a clock of another thread that is a little behind
}

TEST(RetryBudget, AllInstancesFail_LoadGrowsByAFifth) {
  RetryBudget budget(kStart);
  int retries = 0;
  for (int i = 0; i < 10'000; ++i) {
    const TimePoint now = kStart + i * 1ms;
    budget.count_request(now);
    retries += budget.try_retry(now, RetrySettings{}) ? 1 : 0;
    retries += budget.try_retry(now, RetrySettings{}) ? 1 : 0;
  }
  EXPECT_GE(retries, 1900);
  EXPECT_LE(retries, 2010);
}

}  // namespace
}  // namespace svc::router
