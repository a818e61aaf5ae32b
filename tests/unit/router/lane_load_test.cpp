#include "router/core/prefix/lane_load.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "prefix_fixture.hpp"

namespace svc::router {
namespace {

constexpr Burden kStream = {.work = 4000, .uncached = 4000, .tokens = 4000, .streams = true};
constexpr Burden kWhole = {.work = 4000, .uncached = 4000, .tokens = 4000, .streams = false};

TEST(LaneLoad, FirstByteOfAStream_TellsOfSpeed_ThatOfAWholeAnswerDoesNot) {
  for (const auto& burden : {kStream, kWhole}) {
    LaneLoad load;
    for (unsigned i = 0; i < 50; ++i) {
      load.sent(i, burden, at(i * 10));
      load.first_byte(i, at(i * 10 + (i % 2 == 0 ? 0.1 : 5.0)));
      load.ended(i, burden, true, at(i * 10 + 6));
    }
    EXPECT_EQ(load.speed().samples(), burden.streams ? 50U : 0U);
  }
}

TEST(LaneLoad, PromptBehindOneThatWasGivenUp_IsMeasuredFromThere) {
  LaneLoad load(LaneSpec{.prefill_rate = 4000});
  for (unsigned i = 0; i < 100; i += 2) {
    const double began = i * 10;
    load.sent(i, kStream, at(began));
    load.sent(i + 1, kStream, at(began));
    load.ended(i, kStream, true, at(began + 5));  // its client left
    load.first_byte(i + 1, at(began + 6));
    load.ended(i + 1, kStream, true, at(began + 7));
  }
  EXPECT_EQ(load.speed().samples(), 50U);
  EXPECT_NEAR(load.speed().prefill_rate(), 4000, 40);
}

TEST(LaneLoad, RateThatIsStated_MayBeAnything) {
  for (const double rate : {0.0, -5.0, 1e-300, 1e300, HUGE_VAL, -HUGE_VAL, std::nan("")}) {
    LaneLoad load(LaneSpec{.prefill_rate = rate});
    EXPECT_GT(load.speed().prefill_rate(), 0) << rate;
    EXPECT_LE(load.speed().prefill_rate(), 1e9) << rate;
    load.sent(1, {.work = 1e15, .uncached = 1e15, .tokens = 1e15, .streams = false}, at(0));
    EXPECT_GT(load.queued_work(at(1)), 0) << rate;
    load.ended(1, kWhole, true, at(2));
    EXPECT_EQ(load.queued_work(at(3)), 0) << rate;
  }
}

TEST(LaneLoad, EndWithoutAFirstByte_TellsNothingOfSpeed) {
  LaneLoad load;
  for (unsigned i = 0; i < 50; ++i) {
    load.sent(i, kStream, at(i));
    load.ended(i, kStream, true, at(i + 0.001));
  }
  EXPECT_EQ(load.speed().samples(), 0U);
  EXPECT_EQ(load.active(), 0U);
  EXPECT_EQ(load.queued_work(at(100)), 0);
}

}  // namespace
}  // namespace svc::router
