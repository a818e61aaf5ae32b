#include "router/core/prefix/use_queue.hpp"

#include <gtest/gtest.h>

namespace svc::router {
namespace {

TEST(UseQueue, GivesBackInOrder_WithTheirTimes) {
  UseQueue queue;
  EXPECT_TRUE(queue.empty());
  for (std::uint64_t time = 1; time <= 3; ++time) {
    for (std::uint32_t tag = 0; tag < 5; ++tag) queue.push({tag + static_cast<std::uint32_t>(time) * 10, time});
  }
  EXPECT_EQ(queue.size(), 15U);
  EXPECT_EQ(queue.tag(7), 22U);
  for (std::uint64_t time = 1; time <= 3; ++time) {
    for (std::uint32_t tag = 0; tag < 5; ++tag) {
      EXPECT_EQ(queue.front().time, time);
      EXPECT_EQ(queue.front().tag, tag + time * 10);
      queue.pop_front();
    }
  }
  EXPECT_TRUE(queue.empty());
}

TEST(UseQueue, UsesOfOneTime_ShareItsBytes) {
  UseQueue queue;
  std::size_t bytes = 0;
  for (std::uint32_t tag = 0; tag < 100; ++tag) bytes += queue.push({tag, 7});
  EXPECT_EQ(bytes, 100 * UseQueue::kBytesPerUse + UseQueue::kBytesPerTime);
  bytes += queue.push({1, 8});
  EXPECT_EQ(queue.bytes(), bytes);
  while (!queue.empty()) bytes -= queue.pop_front();
  EXPECT_EQ(bytes, 0U);
  EXPECT_EQ(queue.bytes(), 0U);
  queue.push({1, 8});  // after its run is gone
  EXPECT_EQ(queue.front().time, 8U);
}

TEST(UseQueue, SpentUsesOfOneTime_GoTogether) {
  UseQueue queue;
  std::size_t bytes = 0;
  for (std::uint64_t time = 1; time <= 4; ++time) {
    for (std::uint32_t tag = 0; tag < 3; ++tag) bytes += queue.push({tag, time});
  }
  for (int i = 0; i < 3; ++i) queue.spend(3);
  queue.spend(1);
  queue.spend(7);  // of which there is none
  EXPECT_FALSE(queue.front_is_whole());
  EXPECT_FALSE(queue.front_is_spent());
  queue.spend(1);
  bytes -= queue.pop_front();
  EXPECT_FALSE(queue.front_is_spent()) << "one of the two that are left is not";
  queue.spend(1);
  EXPECT_TRUE(queue.front_is_spent());
  queue.spend(1);  // more than there were
  EXPECT_TRUE(queue.front_is_spent());
  bytes -= queue.pop_time();
  EXPECT_EQ(queue.front().time, 2U);
  EXPECT_TRUE(queue.front_is_whole());
  queue.spend(4);  // found, though others have gone since
  for (int i = 0; i < 3; ++i) bytes -= queue.pop_front();
  EXPECT_TRUE(queue.front_is_spent());
  bytes -= queue.pop_time();
  EXPECT_EQ(queue.front().time, 4U);
  EXPECT_FALSE(queue.front_is_whole());
  EXPECT_EQ(queue.bytes(), bytes);
}

TEST(UseQueue, WhatIsWhole_MovesWithItsTime) {
  UseQueue from;
  UseQueue to;
  for (std::uint32_t tag = 0; tag < 3; ++tag) from.push({tag, 5});
  from.push({9, 6});
  from.pop_front();
  from.spend(5);
  EXPECT_TRUE(from.front_is_whole()) << "the one that was popped was the one that is spent";
  to.push({8, 4});
  const std::size_t bytes = from.bytes() + to.bytes();
  from.move_time(to);
  EXPECT_EQ(from.bytes() + to.bytes(), bytes);
  EXPECT_EQ(from.front().time, 6U);
  to.pop_front();
  EXPECT_TRUE(to.front_is_whole());
  EXPECT_EQ(to.front().time, 5U);
  EXPECT_EQ(to.front().tag, 1U);
  to.spend(5);
  to.spend(5);
  EXPECT_TRUE(to.front_is_spent());
  to.pop_time();
  EXPECT_TRUE(to.empty());
}

}  // namespace
}  // namespace svc::router
