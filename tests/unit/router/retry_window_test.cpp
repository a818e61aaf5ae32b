#include "router/core/retry_window.hpp"

#include <gtest/gtest.h>

#include "tests/support/moments.hpp"

namespace svc::router {
namespace {

using namespace std::chrono_literals;

using svc::test::kStart;

int retries_allowed(RetryWindow& window, TimePoint now, int wanted) {
  int allowed = 0;
  for (int i = 0; i < wanted; ++i) allowed += window.try_retry(now, RetrySettings{}) ? 1 : 0;
  return allowed;
}

TEST(RetryWindow, FifthOfTheRequestsOfTenSeconds) {
  RetryWindow window(kStart);
  for (int second = 0; second < 10; ++second) {
    for (int i = 0; i < 100; ++i) window.count_request(kStart + second * 1s);
  }
  EXPECT_EQ(retries_allowed(window, kStart + 9s, 1000), 200);
  EXPECT_EQ(retries_allowed(window, kStart + 9900ms, 1000), 0);
  // The first second's requests leave the window; its retries are still in it, but three a second are always allowed.
  EXPECT_EQ(retries_allowed(window, kStart + 10s, 1000), 3);
  EXPECT_EQ(retries_allowed(window, kStart + 1h, 1000), 3);
}

TEST(RetryWindow, Minimum_IsPerSecond) {
  RetryWindow window(kStart);
  for (int second = 0; second < 25; ++second) EXPECT_EQ(retries_allowed(window, kStart + second * 1s, 10), 3) << second;
  EXPECT_EQ(retries_allowed(window, kStart, 10), 0);  // a clock of another thread that is a little behind
}

TEST(RetryWindow, AllInstancesFail_LoadGrowsByAFifth) {
  RetryWindow window(kStart);
  int retries = 0;
  for (int i = 0; i < 10'000; ++i) {
    const TimePoint now = kStart + i * 1ms;
    window.count_request(now);
    retries += window.try_retry(now, RetrySettings{}) ? 1 : 0;
    retries += window.try_retry(now, RetrySettings{}) ? 1 : 0;
  }
  EXPECT_GE(retries, 1900);
  EXPECT_LE(retries, 2010);
}

}  // namespace
}  // namespace svc::router
