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

}  // namespace
}  // namespace svc::router
