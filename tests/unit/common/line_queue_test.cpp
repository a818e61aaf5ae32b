#include "common/core/line_queue.hpp"

#include <gtest/gtest.h>

namespace svc {
namespace {

using namespace std::chrono_literals;

constexpr WallTime kTime{1'000'000us};

std::string line(int number) { return "line " + std::to_string(1000 + number) + "\n"; }  // 10 bytes

/// Takes and gives back everything: what a writer would write, gaps as "<N>".
std::string written(LineQueue& queue) {
  std::string text;
  while (auto batch = queue.take()) {
    if (batch->lost_before != 0) text += "<" + std::to_string(batch->lost_before) + ">";
    text += batch->text;
    queue.written(*std::move(batch));
  }
  return text;
}

TEST(LineQueue, Lines_ComeOutInOrderInBatches) {
  LineQueue queue(1000, 30);
  EXPECT_TRUE(queue.empty());
  std::string all;
  for (int i = 0; i < 10; ++i) {
    ASSERT_TRUE(queue.add(static_cast<std::size_t>(i % 2), kTime + i * 1s, line(i)));
    all += line(i);
  }
  auto first = queue.take();
  ASSERT_TRUE(first.has_value());
  EXPECT_EQ(first->text, line(0) + line(1) + line(2));
  EXPECT_EQ(first->lines, 3U);
  EXPECT_EQ(first->lost_before, 0U);
  EXPECT_EQ(first->last_at, kTime + 2s);
  EXPECT_EQ(queue.held_bytes(), 100U) << "what is being written is still held";
  EXPECT_EQ(queue.waiting(), 10U);
  queue.written(*std::move(first));
  EXPECT_EQ(queue.held_bytes(), 70U);
  EXPECT_EQ(queue.waiting(), 7U);
  EXPECT_EQ(written(queue), all.substr(30));
  EXPECT_TRUE(queue.empty());
  EXPECT_EQ(queue.held_bytes(), 0U);
}

TEST(LineQueue, Full_DropsTheNewestAndKeepsThePlaceOfTheGap) {
  LineQueue queue(50, 20);
  for (int i = 0; i < 9; ++i) EXPECT_EQ(queue.add(0, kTime, line(i)), i < 5) << i;
  EXPECT_TRUE(queue.dropping());
  EXPECT_EQ(queue.dropped(), 4U);
  EXPECT_EQ(queue.waiting(), 5U);
  auto batch = queue.take();
  queue.written(*std::move(batch));  // 30 of 50 are held: more than half
  EXPECT_FALSE(queue.add(0, kTime, line(9))) << "one long gap, not many short ones";
  batch = queue.take();
  queue.written(*std::move(batch));
  EXPECT_TRUE(queue.add(0, kTime, line(10)));
  EXPECT_FALSE(queue.dropping());
  EXPECT_EQ(written(queue), line(4) + "<5>" + line(10));
  EXPECT_EQ(queue.dropped(), 5U);
}

TEST(LineQueue, GapAtTheEnd_IsTakenWithoutALine) {
  LineQueue queue(20);
  for (int i = 0; i < 5; ++i) (void)queue.add(0, kTime + i * 1s, line(i));
  auto batch = queue.take();
  ASSERT_EQ(batch->lines, 2U);
  queue.written(*std::move(batch));
  EXPECT_FALSE(queue.empty());
  batch = queue.take();
  ASSERT_TRUE(batch.has_value());
  EXPECT_EQ(batch->text, "");
  EXPECT_EQ(batch->lost_before, 3U);
  EXPECT_EQ(batch->last_at, kTime + 4s);
  queue.written(*std::move(batch));
  EXPECT_TRUE(queue.empty());
  EXPECT_FALSE(queue.take().has_value());
}

TEST(LineQueue, EachSource_HasRoomOfItsOwn) {
  LineQueue queue(30);
  for (int i = 0; i < 100; ++i) (void)queue.add(1, kTime, line(i));
  EXPECT_TRUE(queue.add(2, kTime, line(500)));
  EXPECT_TRUE(queue.add(0, kTime, line(501)));
  EXPECT_EQ(written(queue), line(0) + line(1) + line(2) + "<97>" + line(500) + line(501));
}

TEST(LineQueue, Crowded_WhileASourceHasMoreThanHalfOfItsRoom) {
  LineQueue queue(40, 10);
  (void)queue.add(0, kTime, line(0));
  (void)queue.add(1, kTime, line(1));
  (void)queue.add(1, kTime, line(2));
  EXPECT_FALSE(queue.crowded());
  (void)queue.add(1, kTime, line(3));
  EXPECT_TRUE(queue.crowded());
  auto batch = queue.take();
  queue.written(*std::move(batch));
  EXPECT_TRUE(queue.crowded()) << "that was another's";
  batch = queue.take();
  EXPECT_TRUE(queue.crowded()) << "it is not written yet";
  queue.written(*std::move(batch));
  EXPECT_FALSE(queue.crowded());
}

TEST(LineQueue, LineWithoutRoomAtAll_IsDropped) {
  LineQueue queue(20);
  EXPECT_FALSE(queue.add(0, kTime, std::string(21, 'x')));
  EXPECT_EQ(written(queue), "<1>");
}

TEST(LineQueue, Memory_StaysBounded) {
  constexpr std::size_t kRoom = 1'000'000;
  LineQueue queue(kRoom);
  for (int i = 0; i < 1'000'000; ++i) (void)queue.add(0, kTime, line(i % 1000));
  std::size_t capacity = 0;
  std::uint64_t lines = 0;
  std::vector<LineBatch> batches;
  while (auto batch = queue.take()) {
    capacity += batch->text.capacity();
    lines += batch->lines;
    batches.push_back(*std::move(batch));
  }
  EXPECT_EQ(lines + queue.dropped(), 1'000'000U);
  EXPECT_LE(capacity, kRoom + 2 * 64 * 1024);
  for (auto& batch : batches) queue.written(std::move(batch));
  EXPECT_EQ(queue.held_bytes(), 0U);
}

}  // namespace
}  // namespace svc
