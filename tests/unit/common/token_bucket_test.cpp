#include "common/core/token_bucket.hpp"

#include <gtest/gtest.h>

#include <limits>

#include "tests/support/moments.hpp"

namespace svc {
namespace {

using namespace std::chrono_literals;

using svc::test::kStart;

int take_all(TokenBucket& bucket, TimePoint now) {
  int taken = 0;
  while (bucket.try_take(now) && taken < 1000) ++taken;
  return taken;
}

TEST(TokenBucket, Fresh_AllowsTheBurst) {
  TokenBucket bucket(5, 1, kStart);
  EXPECT_EQ(take_all(bucket, kStart), 5);
  EXPECT_FALSE(bucket.try_take(kStart));
}

TEST(TokenBucket, Refill_FollowsTheClock) {
  TokenBucket bucket(5, 2, kStart);
  take_all(bucket, kStart);
  EXPECT_FALSE(bucket.try_take(kStart + 499ms));
  EXPECT_TRUE(bucket.try_take(kStart + 500ms));
  EXPECT_EQ(take_all(bucket, kStart + 2s), 3);
}

TEST(TokenBucket, LongRest_FillsToCapacityOnly) {
  TokenBucket bucket(5, 2, kStart);
  take_all(bucket, kStart);
  EXPECT_DOUBLE_EQ(bucket.available(kStart + 24h), 5.0);
  EXPECT_EQ(take_all(bucket, kStart + 24h), 5);
}

TEST(TokenBucket, ClockBackwards_CountsAsNoTime) {
  TokenBucket bucket(1, 1, kStart);
  EXPECT_TRUE(bucket.try_take(kStart + 10s));
  EXPECT_FALSE(bucket.try_take(kStart));
  EXPECT_FALSE(bucket.try_take(kStart + 10s + 500ms));
  EXPECT_TRUE(bucket.try_take(kStart + 11s));
}

TEST(TokenBucket, MoreThanThereIs_TakesNothing) {
  TokenBucket bucket(5, 0, kStart);
  EXPECT_FALSE(bucket.try_take(kStart, 6));
  EXPECT_TRUE(bucket.try_take(kStart, 5));
  EXPECT_FALSE(bucket.try_take(kStart + 1h, 0.5));
}

TEST(TokenBucket, OddNumbers_GiveNothingAway) {
  TokenBucket negative(-5, -1, kStart);
  EXPECT_FALSE(negative.try_take(kStart + 1h));
  TokenBucket bucket(1, 0, kStart);
  EXPECT_FALSE(bucket.try_take(kStart, std::numeric_limits<double>::quiet_NaN()));
  EXPECT_TRUE(bucket.try_take(kStart, -3));
  EXPECT_DOUBLE_EQ(bucket.available(kStart), 1.0);
}

}  // namespace
}  // namespace svc
