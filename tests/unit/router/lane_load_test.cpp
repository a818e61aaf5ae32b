#include "router/core/prefix/lane_load.hpp"

#include <gtest/gtest.h>

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
      load.ended(i, burden, at(i * 10 + 6));
    }
    EXPECT_EQ(load.speed().samples(), burden.streams ? 50U : 0U);
  }
}

TEST(LaneLoad, EndWithoutAFirstByte_TellsNothingOfSpeed) {
  LaneLoad load;
  for (unsigned i = 0; i < 50; ++i) {
    load.sent(i, kStream, at(i));
    load.ended(i, kStream, at(i + 0.001));
  }
  EXPECT_EQ(load.speed().samples(), 0U);
  EXPECT_EQ(load.active(), 0U);
  EXPECT_EQ(load.queued_work(at(100)), 0);
}

}  // namespace
}  // namespace svc::router
