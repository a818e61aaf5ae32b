#include "common/core/backoff.hpp"

#include <gtest/gtest.h>

#include <limits>

namespace svc {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t kAllBits = std::numeric_limits<std::uint64_t>::max();

TEST(Backoff, Ceiling_DoublesUpToMax) {
  Backoff backoff({1s, 10s});
  const Duration expected[] = {1s, 2s, 4s, 8s, 10s, 10s, 10s};
  for (const Duration ceiling : expected) {
    EXPECT_EQ(backoff.ceiling(), ceiling);
    (void)backoff.next(0);
  }
}

TEST(Backoff, RandomBits_SpreadOverTheWholeRange) {
  Backoff low({1s, 60s});
  EXPECT_EQ(low.next(0), 0s);
  Backoff high({1s, 60s});
  EXPECT_GE(high.next(kAllBits), 999ms);
  Backoff middle({1s, 60s});
  const Duration half = middle.next(std::uint64_t{1} << 63);
  EXPECT_NEAR(static_cast<double>(half.count()), 5e8, 10.0);
}

TEST(Backoff, Waits_NeverExceedTheCeiling) {
  Backoff backoff({100ms, 5s, 3.0});
  for (int i = 0; i < 50; ++i) {
    const Duration ceiling = backoff.ceiling();
    EXPECT_LE(backoff.next(kAllBits), ceiling);
    EXPECT_LE(ceiling, 5s);
  }
}

TEST(Backoff, MeanWait_IsHalfTheCeiling) {
  std::uint64_t state = 42;
  double sum = 0;
  constexpr int kRounds = 20'000;
  for (int i = 0; i < kRounds; ++i) {
    state = state * 6364136223846793005U + 1442695040888963407U;
    Backoff backoff({1s, 1s});
    sum += static_cast<double>(backoff.next(state).count());
  }
  EXPECT_NEAR(sum / kRounds, 5e8, 1e7);
}

TEST(Backoff, Reset_StartsAgain) {
  Backoff backoff({1s, 60s});
  for (int i = 0; i < 4; ++i) (void)backoff.next(kAllBits);
  EXPECT_EQ(backoff.attempts(), 4U);
  EXPECT_EQ(backoff.ceiling(), 16s);
  backoff.reset();
  EXPECT_EQ(backoff.attempts(), 0U);
  EXPECT_EQ(backoff.ceiling(), 1s);
}

TEST(Backoff, ManyAttempts_DoNotOverflow) {
  Backoff backoff({1s, Duration::max(), 10.0});
  for (int i = 0; i < 10'000; ++i) {
    const Duration wait = backoff.next(kAllBits);
    ASSERT_GE(wait, 0s);
  }
  EXPECT_EQ(backoff.ceiling(), Duration::max());
  EXPECT_EQ(backoff.attempts(), 10'000U);
}

TEST(Backoff, OddSettings_AreMadeSane) {
  Backoff first_above_max({10s, 2s});
  EXPECT_EQ(first_above_max.ceiling(), 2s);
  Backoff shrinking({1s, 10s, 0.5});
  (void)shrinking.next(0);
  EXPECT_EQ(shrinking.ceiling(), 1s);
  Backoff no_number({1s, 10s, std::numeric_limits<double>::quiet_NaN()});
  (void)no_number.next(0);
  EXPECT_EQ(no_number.ceiling(), 1s);
  Backoff negative({-1s, -1s});
  EXPECT_EQ(negative.next(kAllBits), 0s);
}

}  // namespace
}  // namespace svc
