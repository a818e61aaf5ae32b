#include "bench/routing/metrics.hpp"

#include <gtest/gtest.h>

namespace svc::routing {
namespace {

TEST(Times, Percentiles_AreByNearestRank) {
  std::vector<double> values;
  for (int i = 100; i >= 1; --i) values.push_back(i);
  const auto times = times_of(values);
  EXPECT_EQ(times.mean, 50.5);
  EXPECT_EQ(times.p50, 50);
  EXPECT_EQ(times.p90, 90);
  EXPECT_EQ(times.p99, 99);
  std::vector<double> one = {3};
  EXPECT_EQ(times_of(one).p50, 3);
  std::vector<double> none;
  EXPECT_EQ(times_of(none).mean, 0);
}

/// Twenty requests, one a second, each with a first token after 1 s and ten more in a second.
class Window : public ::testing::Test {
 protected:
  Window() {
    for (std::uint32_t row = 0; row < 20; ++row) {
      Request request;
      request.at = row;
      request.in = 1000;
      request.out = 11;
      trace.add(request, {});
      const auto arrived = static_cast<double>(row);
      run.passages.push_back({arrived, arrived + 0.25, arrived + 1, arrived + 2, 500, 0});
      run.order.push_back(row);
    }
    run.computed_tokens = {3000, 1000};
  }
  [[nodiscard]] Summary summary() const { return summarise(trace, EngineModel{}, run); }

  Trace trace;
  RunResult run;
};

TEST_F(Window, Summary_HasMeansOfItsRequests) {
  const auto all = summary();
  EXPECT_EQ(all.requests, 18U);
  EXPECT_DOUBLE_EQ(all.first_token.mean, 1);
  EXPECT_DOUBLE_EQ(all.per_token.mean, 0.1);
  EXPECT_DOUBLE_EQ(all.latency.p99, 2);
  EXPECT_DOUBLE_EQ(all.held.mean, 0.25);
  EXPECT_DOUBLE_EQ(all.slo, 1);
  EXPECT_DOUBLE_EQ(all.hits, 0.5);
  EXPECT_DOUBLE_EQ(all.imbalance, 1.5);
  EXPECT_DOUBLE_EQ(all.output_rate, 18 * 11 / 17.0);
}

TEST_F(Window, FirstTenthOfTheArrivals_IsLeftOut) {
  run.passages[0].first_token = run.passages[1].first_token = 1000;
  EXPECT_DOUBLE_EQ(summary().first_token.mean, 1);
  // It is those that arrived first, whichever rows these are.
  std::swap(run.order[1], run.order[19]);
  EXPECT_GT(summary().first_token.mean, 50);
}

TEST_F(Window, Slo_HasALimitForTheFirstTokenAndOneForTheOthers) {
  run.passages[5].first_token = run.passages[5].arrived + 2.001;
  EXPECT_DOUBLE_EQ(summary().slo, 17 / 18.0);
  run.passages[6].ended = run.passages[6].first_token + 10 * 0.201;
  EXPECT_DOUBLE_EQ(summary().slo, 16 / 18.0);
  // A long prompt may take one and a half times its own prefill.
  trace.rows[5].in = 40'000;
  const double limit = 1.5 * EngineModel{}.prefill(40'000);
  ASSERT_GT(limit, 2);
  run.passages[5].first_token = run.passages[5].arrived + limit - 0.01;
  EXPECT_DOUBLE_EQ(summary().slo, 17 / 18.0);
  run.passages[5].first_token = run.passages[5].arrived + limit + 0.01;
  EXPECT_DOUBLE_EQ(summary().slo, 16 / 18.0);
}

}  // namespace
}  // namespace svc::routing
