#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "router/io/outlier_board.hpp"
#include "router/io/retry_budget.hpp"
#include "tests/support/moments.hpp"

namespace svc::router {
namespace {

using namespace std::chrono_literals;

using test::kStart;
constexpr auto kRefused = FailureReason::upstream_connect_failed;
constexpr auto kReset = FailureReason::upstream_reset;

struct BoardSubject {
  OutlierBoard board;
  UpstreamSpec spec;
  OutlierSettings settings;
  std::shared_ptr<UpstreamLive> live = std::make_shared<UpstreamLive>(0, 1);

  bool failed(FailureReason reason, TimePoint now = kStart) {
    return board.failed(live, spec, reason, now, settings, 0);
  }
  Duration out_for(TimePoint now = kStart) const { return TimePoint(Duration(live->ejected_until_ns.load())) - now; }
};

TEST(RouterOutlierBoard, MaxFails_EjectsAndSaysSo) {
  BoardSubject s;
  EXPECT_FALSE(s.failed(kReset));
  EXPECT_TRUE(s.live->had_failures);
  EXPECT_FALSE(s.failed(kReset));
  EXPECT_TRUE(s.live->usable(kStart));
  EXPECT_TRUE(s.failed(kReset));
  EXPECT_FALSE(s.live->usable(kStart));
  EXPECT_EQ(s.out_for(), 30s);
  EXPECT_EQ(s.live->ejections, 1U);
  EXPECT_FALSE(s.board.probed_good(s.live)) << "its probes were good all the time";
  EXPECT_EQ(s.out_for(), 30s);
}

TEST(RouterOutlierBoard, Refused_ProbeBringsItBack) {
  BoardSubject s;
  EXPECT_FALSE(s.board.probed_good(s.live));
  EXPECT_TRUE(s.failed(kRefused));
  EXPECT_EQ(s.out_for(), 1s);
  EXPECT_TRUE(s.board.probed_good(s.live));
  EXPECT_TRUE(s.live->usable(kStart));
  EXPECT_FALSE(s.board.probed_good(s.live));
}

TEST(RouterOutlierBoard, Success_EndsTheGrowth) {
  BoardSubject s;
  EXPECT_TRUE(s.failed(kRefused));
  EXPECT_TRUE(s.failed(kRefused, kStart + 1s));
  EXPECT_EQ(s.out_for(kStart + 1s), 2s);
  s.board.succeeded(s.live);
  EXPECT_FALSE(s.live->had_failures);
  EXPECT_TRUE(s.failed(kRefused, kStart + 10s));
  EXPECT_EQ(s.out_for(kStart + 10s), 1s);
}

TEST(RouterOutlierBoard, Success_WithoutFailures_ChangesNothing) {
  BoardSubject s;
  s.board.succeeded(s.live);
  s.live->had_failures = true;  // of a board before
  s.board.succeeded(s.live);
  EXPECT_FALSE(s.live->had_failures);
}

TEST(RouterOutlierBoard, NextIncarnation_StartsAnew) {
  BoardSubject s;
  for (int i = 0; i < 100; ++i) {
    EXPECT_TRUE(s.failed(kRefused));
    EXPECT_EQ(s.out_for(), 1s) << i;
    s.live = std::make_shared<UpstreamLive>(0, 1);
  }
}

TEST(RouterOutlierBoard, Upstreams_AreApart) {
  BoardSubject s;
  const auto other = std::make_shared<UpstreamLive>(1, 1);
  s.failed(kReset);
  s.failed(kReset);
  EXPECT_FALSE(s.board.failed(other, s.spec, kReset, kStart, s.settings, 0));
  EXPECT_TRUE(s.failed(kReset));
  EXPECT_TRUE(other->usable(kStart));
}

TEST(RouterOutlierBoard, Threads_CountEachFailureOnce) {
  BoardSubject s;
  s.spec.max_fails = 4000;
  std::atomic<int> ejected{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 1000; ++i) {
        ejected += s.failed(kReset) ? 1 : 0;
        s.board.succeeded(s.live);
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(ejected, 1);
  EXPECT_EQ(s.live->ejections, 1U);
}

TEST(RouterRetryBudget, Threads_ShareOneBudget) {
  RetryBudget budget(kStart);
  std::atomic<int> allowed{0};
  const auto run = [&](auto&& step) {
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t)
      threads.emplace_back([&] {
        for (int i = 0; i < 500; ++i) step();
      });
    for (auto& thread : threads) thread.join();
  };
  run([&] { budget.count_request(kStart); });
  run([&] { allowed += budget.try_retry(kStart, RetrySettings{}) ? 1 : 0; });
  EXPECT_EQ(allowed, 400);
}

}  // namespace
}  // namespace svc::router
