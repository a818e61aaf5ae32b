#include "common/core/deadline.hpp"

#include <gtest/gtest.h>

namespace svc {
namespace {

using namespace std::chrono_literals;

constexpr TimePoint kNow{1000s};

TEST(Deadline, Default_IsNever) {
  constexpr Deadline deadline;
  static_assert(deadline.is_never());
  EXPECT_EQ(deadline, Deadline::never());
  EXPECT_FALSE(deadline.expired(TimePoint::max()));
  EXPECT_EQ(deadline.left(kNow), Duration::max());
}

TEST(Deadline, After_ExpiresAtTheVeryInstant) {
  const Deadline deadline = Deadline::after(kNow, 5s);
  EXPECT_EQ(deadline.when(), kNow + 5s);
  EXPECT_FALSE(deadline.expired(kNow + 5s - 1ns));
  EXPECT_TRUE(deadline.expired(kNow + 5s));
  EXPECT_EQ(deadline.left(kNow + 2s), 3s);
  EXPECT_EQ(deadline.left(kNow + 6s), 0s);
}

TEST(Deadline, AfterZeroOrNegative_HasExpired) {
  EXPECT_TRUE(Deadline::after(kNow, 0s).expired(kNow));
  EXPECT_TRUE(Deadline::after(kNow, -5s).expired(kNow));
  EXPECT_EQ(Deadline::after(kNow, -5s).left(kNow), 0s);
  EXPECT_TRUE(Deadline::after(kNow, Duration::min()).expired(kNow));
}

TEST(Deadline, AfterBeyondTheEndOfTime_IsNever) {
  EXPECT_TRUE(Deadline::after(kNow, Duration::max()).is_never());
  EXPECT_TRUE(Deadline::after(TimePoint::max() - 1s, 2s).is_never());
}

TEST(Deadline, LeftFromFarBeforeZero_DoesNotOverflow) {
  EXPECT_EQ(Deadline::at(TimePoint{Duration::max() - 1ns}).left(TimePoint{-5s}), Duration::max());
  EXPECT_EQ(Deadline::at(TimePoint{5s}).left(TimePoint{-5s}), 10s);
}

TEST(Deadline, EarlierOf_TakesTheSmaller) {
  const Deadline near = Deadline::at(kNow + 1s);
  const Deadline far = Deadline::at(kNow + 2s);
  EXPECT_EQ(Deadline::earlier_of(near, far), near);
  EXPECT_EQ(Deadline::earlier_of(far, near), near);
  EXPECT_EQ(Deadline::earlier_of(Deadline::never(), far), far);
  EXPECT_TRUE(Deadline::earlier_of(Deadline::never(), Deadline::never()).is_never());
}

TEST(Clock, SteadyNow_DoesNotRunBackwards) {
  const TimePoint first = steady_now();
  EXPECT_LE(first, steady_now());
}

TEST(Clock, WallNow_IsThisCentury) { EXPECT_GT(wall_now(), WallTime{std::chrono::seconds(1'600'000'000)}); }

}  // namespace
}  // namespace svc
