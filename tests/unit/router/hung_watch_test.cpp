#include "router/core/hung_watch.hpp"

#include <gtest/gtest.h>

namespace svc::router {
namespace {

using namespace std::chrono_literals;
using Step = HungWatch::Step;

const HungRules kRules{};  // 500 ms of silence, probes of 1 s
TimePoint moment(Duration since) { return TimePoint{} + 1h + since; }

TEST(HungWatch, P5_TwoUnansweredProbes_HungInLessThanThreeSeconds) {
  HungWatch watch;
  const TimePoint heard = moment(0s);
  EXPECT_FALSE(watch.look(moment(499ms), 1, heard, ProbeVerdict::up, kRules));
  ASSERT_TRUE(watch.look(moment(600ms), 1, heard, ProbeVerdict::up, kRules)) << "looked at every 100 ms";
  EXPECT_FALSE(watch.look(moment(700ms), 1, heard, ProbeVerdict::up, kRules)) << "asking already";
  EXPECT_EQ(watch.probed(moment(1600ms), HungAnswer::timed_out, 1, heard), Step::ask_again);
  EXPECT_EQ(watch.probed(moment(2600ms), HungAnswer::timed_out, 1, heard), Step::hung);
  EXPECT_FALSE(watch.asking());
}

TEST(HungWatch, NothingInFlight_NeverAsked) {
  HungWatch watch;
  EXPECT_FALSE(watch.look(moment(1h), 0, moment(0s), ProbeVerdict::up, kRules));
}

TEST(HungWatch, KnownToHang_NotAsked) {
  HungWatch watch;
  EXPECT_FALSE(watch.look(moment(1h), 1, moment(0s), ProbeVerdict::hung, kRules));
  EXPECT_TRUE(watch.look(moment(1h), 1, moment(0s), ProbeVerdict::unknown, kRules));
}

TEST(HungWatch, DownWithRequestsThatWaitThere_Asked) {
  HungWatch watch;
  EXPECT_FALSE(watch.look(moment(1h), 0, moment(0s), ProbeVerdict::down, kRules));
  EXPECT_TRUE(watch.look(moment(1h), 1, moment(0s), ProbeVerdict::down, kRules));
}

TEST(HungWatch, TimeoutZero_Off) {
  HungWatch watch;
  EXPECT_FALSE(watch.look(moment(1h), 1, moment(0s), ProbeVerdict::up, {500ms, 0s}));
}

TEST(HungWatch, HeardMeanwhile_Alive) {
  HungWatch watch;
  ASSERT_TRUE(watch.look(moment(1s), 1, moment(0s), ProbeVerdict::up, kRules));
  EXPECT_EQ(watch.probed(moment(2s), HungAnswer::timed_out, 1, moment(0s)), Step::ask_again);
  EXPECT_EQ(watch.probed(moment(3s), HungAnswer::timed_out, 1, moment(2500ms)), Step::alive);
}

TEST(HungWatch, RequestsLeftMeanwhile_Alive) {
  HungWatch watch;
  ASSERT_TRUE(watch.look(moment(1s), 1, moment(0s), ProbeVerdict::up, kRules));
  EXPECT_EQ(watch.probed(moment(2s), HungAnswer::timed_out, 0, moment(0s)), Step::alive);
}

TEST(HungWatch, RefusedConnection_HungAtOnce) {
  HungWatch watch;
  ASSERT_TRUE(watch.look(moment(1s), 3, moment(0s), ProbeVerdict::up, kRules));
  EXPECT_EQ(watch.probed(moment(1s), HungAnswer::refused, 3, moment(0s)), Step::hung);
}

TEST(HungWatch, SaysThatItCannotWork_HungAtOnceUnlessItSpoke) {
  HungWatch watch;
  ASSERT_TRUE(watch.look(moment(1s), 3, moment(0s), ProbeVerdict::down, kRules));
  EXPECT_EQ(watch.probed(moment(1s), HungAnswer::unwell, 3, moment(0s)), Step::hung);
  ASSERT_TRUE(watch.look(moment(2s), 3, moment(0s), ProbeVerdict::down, kRules));
  EXPECT_EQ(watch.probed(moment(3s), HungAnswer::unwell, 3, moment(2500ms)), Step::alive);
}

TEST(HungWatch, BrokenAnswer_IsForTheOrdinaryProbes) {
  HungWatch watch;
  ASSERT_TRUE(watch.look(moment(1s), 1, moment(0s), ProbeVerdict::up, kRules));
  EXPECT_EQ(watch.probed(moment(1s), HungAnswer::failed, 1, moment(0s)), Step::alive);
}

TEST(HungWatch, LongUnaryAnswer_AskedAgainEachSilence_AndFoundHungLater) {
  HungWatch watch;
  const TimePoint heard = moment(0s);
  TimePoint now = moment(1s);
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(watch.look(now, 1, heard, ProbeVerdict::up, kRules));
    ASSERT_EQ(watch.probed(now, HungAnswer::answered, 1, heard), Step::alive);
    EXPECT_FALSE(watch.look(now + 499ms, 1, heard, ProbeVerdict::up, kRules)) << "an answered probe is a sign of life";
    now += 500ms;
  }
  ASSERT_TRUE(watch.look(now, 1, heard, ProbeVerdict::up, kRules));
  EXPECT_EQ(watch.probed(now + 1s, HungAnswer::timed_out, 1, heard), Step::ask_again);
  EXPECT_EQ(watch.probed(now + 2s, HungAnswer::timed_out, 1, heard), Step::hung);
}

TEST(HungWatch, AnsweredSecondProbe_StartsOver) {
  HungWatch watch;
  ASSERT_TRUE(watch.look(moment(1s), 1, moment(0s), ProbeVerdict::up, kRules));
  EXPECT_EQ(watch.probed(moment(2s), HungAnswer::timed_out, 1, moment(0s)), Step::ask_again);
  EXPECT_EQ(watch.probed(moment(2100ms), HungAnswer::answered, 1, moment(0s)), Step::alive);
  ASSERT_TRUE(watch.look(moment(3s), 1, moment(0s), ProbeVerdict::up, kRules));
  EXPECT_EQ(watch.probed(moment(4s), HungAnswer::timed_out, 1, moment(0s)), Step::ask_again) << "one is no proof";
}

}  // namespace
}  // namespace svc::router
