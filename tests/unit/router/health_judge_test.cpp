#include "router/core/health_judge.hpp"

#include <gtest/gtest.h>

namespace svc::router {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t kMiddle = std::uint64_t{1} << 63U;  // jitter of nothing

HealthRules rules() { return {30s, 500ms, 3, 2}; }

TEST(HealthJudge, FirstGoodProbe_IsUpWithoutWaitingForHealthyAfter) {
  HealthJudge judge;
  EXPECT_EQ(judge.verdict(), ProbeVerdict::unknown);
  EXPECT_TRUE(judge.probed(ProbeFinding::good, rules()));
  EXPECT_EQ(judge.verdict(), ProbeVerdict::up);
  EXPECT_FALSE(judge.probed(ProbeFinding::good, rules()));
}

TEST(HealthJudge, BadProbes_DownAtMaxErrorsInARow) {
  HealthJudge judge;
  judge.probed(ProbeFinding::good, rules());
  EXPECT_FALSE(judge.probed(ProbeFinding::bad, rules()));
  EXPECT_FALSE(judge.probed(ProbeFinding::bad, rules()));
  EXPECT_EQ(judge.verdict(), ProbeVerdict::up);
  EXPECT_TRUE(judge.probed(ProbeFinding::bad, rules()));
  EXPECT_EQ(judge.verdict(), ProbeVerdict::down);
}

TEST(HealthJudge, GoodProbeBetween_CountsAnew) {
  HealthJudge judge;
  for (int i = 0; i < 10; ++i) {
    judge.probed(ProbeFinding::bad, rules());
    judge.probed(ProbeFinding::bad, rules());
    judge.probed(ProbeFinding::good, rules());
    EXPECT_EQ(judge.verdict(), ProbeVerdict::up);
  }
}

TEST(HealthJudge, RefusedConnection_DownAtOnce) {
  HealthJudge judge;
  judge.probed(ProbeFinding::good, rules());
  EXPECT_TRUE(judge.probed(ProbeFinding::refused, rules()));
  EXPECT_EQ(judge.verdict(), ProbeVerdict::down);
}

TEST(HealthJudge, Recovery_NeedsHealthyAfterGoodProbes) {
  HealthJudge judge;
  judge.probed(ProbeFinding::refused, rules());
  EXPECT_FALSE(judge.probed(ProbeFinding::good, rules()));
  EXPECT_EQ(judge.verdict(), ProbeVerdict::down);
  EXPECT_FALSE(judge.probed(ProbeFinding::bad, rules()));
  EXPECT_FALSE(judge.probed(ProbeFinding::good, rules()));
  EXPECT_TRUE(judge.probed(ProbeFinding::good, rules()));
  EXPECT_EQ(judge.verdict(), ProbeVerdict::up);
}

TEST(HealthJudge, Hung_StaysHungWhileProbesAreBad) {
  HealthJudge judge;
  judge.probed(ProbeFinding::good, rules());
  judge.declare_hung();
  for (int i = 0; i < 5; ++i) EXPECT_FALSE(judge.probed(ProbeFinding::bad, rules()));
  EXPECT_EQ(judge.verdict(), ProbeVerdict::hung);
  judge.probed(ProbeFinding::good, rules());
  judge.probed(ProbeFinding::good, rules());
  EXPECT_EQ(judge.verdict(), ProbeVerdict::up);
}

TEST(HealthJudge, NextProbe_FastWhileOutOrInDoubt) {
  HealthJudge judge;
  EXPECT_LE(judge.next_after(true, kMiddle, rules()), 500ms) << "ejected";
  judge.probed(ProbeFinding::good, rules());
  EXPECT_EQ(judge.next_after(false, kMiddle, rules()), 15s) << "the first wait is spread over the interval";
  EXPECT_EQ(judge.next_after(false, kMiddle, rules()), 30s);
  judge.probed(ProbeFinding::bad, rules());
  EXPECT_EQ(judge.next_after(false, kMiddle, rules()), 500ms) << "one bad probe is repeated soon";
  judge.probed(ProbeFinding::refused, rules());
  EXPECT_EQ(judge.next_after(false, kMiddle, rules()), 500ms);
  judge.probed(ProbeFinding::good, rules());
  EXPECT_EQ(judge.next_after(false, kMiddle, rules()), 500ms) << "one of two";
  judge.probed(ProbeFinding::good, rules());
  EXPECT_EQ(judge.next_after(false, kMiddle, rules()), 30s);
}

TEST(HealthJudge, NextProbe_NeverLaterThanTheInterval) {
  HealthRules fast = rules();
  fast.interval = 100ms;
  HealthJudge judge;
  judge.probed(ProbeFinding::refused, fast);
  EXPECT_EQ(judge.next_after(false, kMiddle, fast), 100ms);
}

TEST(HealthJudge, Jitter_IsATenthEitherWay) {
  EXPECT_EQ(jittered(10s, 0), 9s);
  EXPECT_EQ(jittered(10s, kMiddle), 10s);
  EXPECT_LE(jittered(10s, ~std::uint64_t{0}), 11s);
  EXPECT_GT(jittered(10s, ~std::uint64_t{0}), 10900ms);
}

TEST(HealthJudge, StatusesThatMeanNoSuchPage) {
  for (const int status : {401, 403, 404, 405, 501}) EXPECT_TRUE(has_no_health_page(status)) << status;
  for (const int status : {0, 200, 301, 400, 429, 500, 502, 503, 504})
    EXPECT_FALSE(has_no_health_page(status)) << status;
}

}  // namespace
}  // namespace svc::router
