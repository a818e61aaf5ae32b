#include "router/core/key_limits.hpp"

#include <gtest/gtest.h>

#include "tests/support/moments.hpp"

namespace svc::router {
namespace {

using namespace std::chrono_literals;

using svc::test::kStart;

int requests_allowed(KeyLimits& limits, TimePoint now, double per_minute, int wanted) {
  int allowed = 0;
  for (int i = 0; i < wanted; ++i) allowed += limits.take_request(now, per_minute) ? 0 : 1;
  return allowed;
}

TEST(KeyLimits, Requests_AMinutesWorthAtOnceThenEvenly) {
  KeyLimits limits;
  EXPECT_EQ(requests_allowed(limits, kStart, 60, 100), 60);
  const auto wait = limits.take_request(kStart + 250ms, 60);
  ASSERT_TRUE(wait.has_value());
  EXPECT_NEAR(*wait, 0.75, 1e-6);
  EXPECT_EQ(requests_allowed(limits, kStart + 1s, 60, 5), 1);
  EXPECT_EQ(requests_allowed(limits, kStart + 11s, 60, 100), 10);
  EXPECT_EQ(requests_allowed(limits, kStart + 24h, 60, 100), 60);
  EXPECT_EQ(requests_allowed(limits, kStart, 60, 100), 0);  // a clock that is behind gives nothing
}

TEST(KeyLimits, None_NeverWaits) {
  KeyLimits limits;
  EXPECT_EQ(requests_allowed(limits, kStart, 0, 10'000), 10'000);
  limits.spend_tokens(kStart, 0, 1'000'000'000);
  EXPECT_FALSE(limits.token_wait(kStart, 0).has_value());
  EXPECT_FALSE(limits.token_wait(kStart, 1).has_value()) << "what was spent without a limit is not owed later";
}

TEST(KeyLimits, LessThanOneAMinute_IsOneNowAndThen) {
  KeyLimits limits;
  EXPECT_EQ(requests_allowed(limits, kStart, 0.5, 10), 1);
  EXPECT_NEAR(*limits.take_request(kStart, 0.5), 120, 1e-6);
  EXPECT_EQ(requests_allowed(limits, kStart + 120s, 0.5, 10), 1);
}

TEST(KeyLimits, Tokens_InDebtUntilItIsPaidBack) {
  KeyLimits limits;
  EXPECT_FALSE(limits.token_wait(kStart, 600).has_value());
  limits.spend_tokens(kStart, 600, 600);
  EXPECT_FALSE(limits.token_wait(kStart, 600).has_value());
  limits.spend_tokens(kStart, 600, 100);
  ASSERT_TRUE(limits.token_wait(kStart, 600).has_value());
  EXPECT_NEAR(*limits.token_wait(kStart + 4s, 600), 6, 1e-6);
  EXPECT_FALSE(limits.token_wait(kStart + 11s, 600).has_value());
  limits.spend_tokens(kStart + 11s, 600, 999'999'999'999'999);
  EXPECT_NEAR(*limits.token_wait(kStart + 11s, 600), 3600, 1e-3);
}

TEST(KeyLimits, RateThatChanges_KeepsWhatWasUsed) {
  KeyLimits limits;
  EXPECT_EQ(requests_allowed(limits, kStart, 60, 60), 60);
  EXPECT_EQ(requests_allowed(limits, kStart, 120, 60), 0);
  EXPECT_EQ(requests_allowed(limits, kStart + 1s, 120, 60), 2);
  EXPECT_EQ(requests_allowed(limits, kStart + 1h, 10, 60), 10);
}

}  // namespace
}  // namespace svc::router
