#include "common/core/deadline.hpp"

#include <gtest/gtest.h>

#include "tests/support/moments.hpp"

namespace svc {
namespace {

using namespace std::chrono_literals;

using svc::test::kStart;

TEST(Deadline, Default_IsNever) {
  constexpr Deadline deadline;
  static_assert(deadline.is_never());
  EXPECT_EQ(deadline, Deadline::never());
  EXPECT_FALSE(deadline.expired(TimePoint::max()));
  EXPECT_EQ(deadline.left(kStart), Duration::max());
}

TEST(Deadline, After_ExpiresAtTheVeryInstant) {
  const Deadline deadline = Deadline::after(kStart, 5s);
  EXPECT_EQ(deadline.when(), kStart + 5s);
  EXPECT_FALSE(deadline.expired(kStart + 5s - 1ns));
  EXPECT_TRUE(deadline.expired(kStart + 5s));
  EXPECT_EQ(deadline.left(kStart + 2s), 3s);
  EXPECT_EQ(deadline.left(kStart + 6s), 0s);
}

TEST(Deadline, AfterZeroOrNegative_HasExpired) {
  EXPECT_TRUE(Deadline::after(kStart, 0s).expired(kStart));
  EXPECT_TRUE(Deadline::after(kStart, -5s).expired(kStart));
  EXPECT_EQ(Deadline::after(kStart, -5s).left(kStart), 0s);
  EXPECT_TRUE(Deadline::after(kStart, Duration::min()).expired(kStart));
}

TEST(Deadline, AfterBeyondTheEndOfTime_IsNever) {
  EXPECT_TRUE(Deadline::after(kStart, Duration::max()).is_never());
  EXPECT_TRUE(Deadline::after(TimePoint::max() - 1s, 2s).is_never());
}

TEST(Deadline, LeftFromFarBeforeZero_DoesNotOverflow) {
  EXPECT_EQ(Deadline::at(TimePoint{Duration::max() - 1ns}).left(TimePoint{-5s}), Duration::max());
  EXPECT_EQ(Deadline::at(TimePoint{5s}).left(TimePoint{-5s}), 10s);
}

TEST(Deadline, EarlierOf_TakesTheSmaller) {
  const Deadline near = Deadline::at(kStart + 1s);
  const Deadline far = Deadline::at(kStart + 2s);
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
