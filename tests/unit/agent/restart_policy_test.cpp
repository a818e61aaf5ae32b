#include "agent/core/restart_policy.hpp"

#include <gtest/gtest.h>

#include "tests/support/moments.hpp"

namespace svc::agent {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t kMost = ~std::uint64_t{0};  ///< the whole of a jittered wait
constexpr std::uint64_t kHalf = std::uint64_t{1} << 63U;
using svc::test::kStart;

RestartSettings without_limit() {
  RestartSettings settings;
  settings.start_limit = 0;
  return settings;
}

std::optional<Duration> milliseconds_of(std::optional<Duration> wait) {
  return wait ? std::optional<Duration>(std::chrono::round<std::chrono::milliseconds>(*wait)) : wait;
}

TEST(RestartPolicy, S1_FirstFailureAfterReadiness_IsImmediate) {
  RestartPolicy policy(RestartSettings{});
  policy.became_ready(kStart);
  EXPECT_EQ(policy.failed(kStart + 1s, kMost), 200ms);
  EXPECT_EQ(policy.restarts(), 1);
}

TEST(RestartPolicy, S2_LaterFailuresInARow_BackOffUpToAMinute) {
  RestartPolicy policy(without_limit());
  policy.became_ready(kStart);
  (void)policy.failed(kStart, kMost);
  TimePoint now = kStart;
  for (const auto expected : {1s, 2s, 4s, 8s, 16s, 32s, 60s, 60s}) {
    policy.became_ready(now);
    EXPECT_EQ(milliseconds_of(policy.failed(now, kMost)), expected);
    now += 1s;
  }
}

TEST(RestartPolicy, NeverReady_BacksOffFromTheFirstFailureOn) {
  RestartPolicy policy(without_limit());
  EXPECT_EQ(milliseconds_of(policy.failed(kStart, kMost)), 1s);
  EXPECT_EQ(milliseconds_of(policy.failed(kStart, kMost)), 2s);
  policy.became_ready(kStart);
  EXPECT_EQ(milliseconds_of(policy.failed(kStart, kMost)), 4s) << "not the first in a row";
}

TEST(RestartPolicy, Jitter_IsFull) {
  RestartPolicy policy(without_limit());
  EXPECT_EQ(policy.failed(kStart, 0), Duration::zero());
  EXPECT_EQ(milliseconds_of(policy.failed(kStart, kHalf)), 1s) << "half of two seconds";
}

TEST(RestartPolicy, ConstantDelay_IsAlwaysThat) {
  RestartSettings settings = without_limit();
  settings.constant_delay = 5s;
  RestartPolicy policy(settings);
  policy.became_ready(kStart);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(policy.failed(kStart, kMost), 5s) << i;
}

TEST(RestartPolicy, HealthyForLongEnough_ForgetsWhatWas) {
  const struct {
    Duration ready_for;
    std::optional<Duration> next;
  } rows[] = {{10min, 200ms}, {24h, 200ms}, {10min - 1ns, 4s}};
  for (const auto& row : rows) {
    RestartPolicy policy(without_limit());
    for (int i = 0; i < 2; ++i) (void)policy.failed(kStart, kMost);
    policy.became_ready(kStart);
    EXPECT_EQ(policy.recent_failures(kStart), 2);
    EXPECT_EQ(milliseconds_of(policy.failed(kStart + row.ready_for, kMost)), row.next);
  }
}

TEST(RestartPolicy, RecentFailures_NoneOnceProvenHealthy) {
  RestartSettings settings;
  settings.healthy_after = 1min;
  RestartPolicy policy(settings);
  (void)policy.failed(kStart, 0);
  policy.became_ready(kStart);
  EXPECT_EQ(policy.recent_failures(kStart + 59s), 1);
  EXPECT_EQ(policy.recent_failures(kStart + 60s), 0);
}

TEST(RestartPolicy, ReadyAgainBetween_StartsTheHealthAnew) {
  RestartPolicy policy(without_limit());
  policy.became_ready(kStart);
  (void)policy.failed(kStart + 6min, kMost);
  policy.became_ready(kStart + 6min);
  EXPECT_EQ(milliseconds_of(policy.failed(kStart + 12min, kMost)), 1s) << "six minutes twice are not ten in a row";
}

TEST(RestartPolicy, StartLimit_FifthFailureWithinTenMinutesIsTheLast) {
  RestartPolicy policy(RestartSettings{});
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(policy.failed(kStart + i * 1min, 0).has_value()) << i;
  EXPECT_EQ(policy.recent_failures(kStart + 4min), 4);
  EXPECT_EQ(policy.failed(kStart + 5min, 0), std::nullopt);
  EXPECT_EQ(policy.restarts(), 4);
}

TEST(RestartPolicy, StartLimit_OldFailuresDoNotCount) {
  RestartPolicy policy(RestartSettings{});
  TimePoint now = kStart;
  for (int i = 0; i < 40; ++i, now += 150s) EXPECT_TRUE(policy.failed(now, 0).has_value()) << i;
  EXPECT_EQ(policy.recent_failures(now), 3) << "the fourth from the end is ten minutes old to the nanosecond";
  EXPECT_EQ(policy.recent_failures(now - 1ns), 4);
}

TEST(RestartPolicy, StartLimitOfOne_NoSecondStart) {
  RestartSettings settings;
  settings.start_limit = 1;
  RestartPolicy policy(settings);
  policy.became_ready(kStart);
  EXPECT_EQ(policy.failed(kStart, 0), std::nullopt);
}

TEST(RestartPolicy, MaxRestarts_CountsSinceTheBeginningOrForgiveness) {
  RestartSettings settings = without_limit();
  settings.max_restarts = 3;
  settings.healthy_after = 1s;
  RestartPolicy policy(settings);
  TimePoint now = kStart;
  for (int round = 0; round < 2; ++round) {
    for (int i = 0; i < 3; ++i, now += 1h) {
      policy.became_ready(now);
      EXPECT_TRUE(policy.failed(now + 30min, 0).has_value()) << i;
    }
    EXPECT_EQ(policy.failed(now, 0), std::nullopt) << "health does not give any back";
    policy.forgive();
  }
  EXPECT_EQ(policy.restarts(), 6) << "all that ever were";
}

TEST(RestartPolicy, MaxRestartsZero_NeverRestarts) {
  RestartSettings settings;
  settings.max_restarts = 0;
  RestartPolicy policy(settings);
  EXPECT_EQ(policy.failed(kStart, 0), std::nullopt);
}

TEST(RestartPolicy, Forgive_LimitsAndBackoffStartAfresh) {
  RestartPolicy policy(RestartSettings{});
  for (int i = 0; i < 4; ++i) (void)policy.failed(kStart, kMost);
  policy.forgive();
  EXPECT_EQ(policy.recent_failures(kStart), 0);
  EXPECT_EQ(milliseconds_of(policy.failed(kStart, kMost)), 1s);
  policy.forgive();
  policy.became_ready(kStart);
  EXPECT_EQ(policy.failed(kStart, kMost), 200ms);
}

TEST(RestartPolicy, EndedAsWanted_TheNextStartHasYetToBecomeReady) {
  RestartPolicy policy(RestartSettings{});
  policy.became_ready(kStart);
  policy.ended();
  EXPECT_EQ(milliseconds_of(policy.failed(kStart + 1h, kMost)), 1s);
}

TEST(RestartPolicy, S2_CrashLoopOfAnEngineThatGetsReady_AtMostSixStartsAMinute) {
  int worst = 0;
  std::uint64_t random = 88172645463325252ULL;
  for (int round = 0; round < 200; ++round) {
    RestartPolicy policy(RestartSettings{});
    TimePoint now = kStart;
    int starts = 1;
    for (std::optional<Duration> wait = Duration::zero(); wait && now < kStart + 60s;) {
      random ^= random << 13U;
      random ^= random >> 7U;
      random ^= random << 17U;
      policy.became_ready(now);
      wait = policy.failed(now, random);
      if (wait && now + *wait < kStart + 60s) ++starts;
      now += wait.value_or(Duration::zero());
    }
    worst = std::max(worst, starts);
  }
  EXPECT_LE(worst, 6);
  EXPECT_GE(worst, 5);
}

}  // namespace
}  // namespace svc::agent
