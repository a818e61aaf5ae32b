#include "router/core/serve_rate.hpp"

#include <gtest/gtest.h>

#include "tests/support/moments.hpp"

namespace svc::router {
namespace {

using namespace std::chrono_literals;

using svc::test::kStart;

TEST(ServeRate, NobodyWaits_OneSecond) {
  ServeRate rate;
  EXPECT_EQ(rate.retry_after(0, kStart), 1U);
  rate.count(kStart);
  EXPECT_EQ(rate.retry_after(0, kStart), 1U);
}

TEST(ServeRate, NeverServed_ASecond) { EXPECT_EQ(ServeRate().retry_after(1, kStart), 1U); }

TEST(ServeRate, IsThoseWaitingOverTheRate) {
  ServeRate rate;
  for (int i = 0; i < 600; ++i) rate.count(kStart + i * 100ms);
  EXPECT_GE(rate.retry_after(100, kStart + 60s), 9U);
  EXPECT_LE(rate.retry_after(100, kStart + 60s), 12U);
  EXPECT_EQ(rate.retry_after(1, kStart + 60s), 1U);
  EXPECT_GT(rate.retry_after(100, kStart + 90s), 20U);  // nothing more was served
  EXPECT_EQ(rate.retry_after(100, kStart + 1h), 60U);
}

TEST(ServeRate, YoungWindow_CountsTheTimeThatPassed) {
  ServeRate rate;
  for (int i = 0; i < 20; ++i) rate.count(kStart + i * 100ms);  // ten a second, for two seconds
  EXPECT_GE(rate.retry_after(100, kStart + 2s), 9U);
  EXPECT_LE(rate.retry_after(100, kStart + 2s), 12U);
}

TEST(ServeRate, ClockOfAnotherThread_ALittleBehind_ChangesNothing) {
  ServeRate even;
  ServeRate uneven;
  for (int i = 0; i < 100; ++i) {
    even.count(kStart + i * 100ms);
    uneven.count(kStart + i * 100ms - (i % 2) * 200ms);
  }
  EXPECT_NEAR(uneven.retry_after(50, kStart + 10s), even.retry_after(50, kStart + 10s), 1);
}

}  // namespace
}  // namespace svc::router
