#include "registry/io/text_pool.hpp"

#include <gtest/gtest.h>

namespace svc::registry {
namespace {

TEST(TextPool, LargeText_ItsRoomComesBackOnceNobodyReads) {
  TextPool pool;
  auto first = pool.share(std::string(1'000'000, 'x'));
  auto second_reader = first;
  EXPECT_EQ(pool.outstanding(), 1'000'000U);
  first.reset();
  EXPECT_EQ(pool.take().capacity(), std::string().capacity());
  second_reader.reset();
  EXPECT_EQ(pool.outstanding(), 0U);
  const auto again = pool.take();
  EXPECT_TRUE(again.empty());
  EXPECT_GE(again.capacity(), 1'000'000U);
}

TEST(TextPool, RoomMuchLargerThanTheText_IsGivenUp) {
  TextPool pool;
  std::string text(1'000'000, 'x');
  text.resize(1000);
  pool.share(std::move(text)).reset();
  EXPECT_EQ(pool.take().capacity(), std::string().capacity());
}

TEST(TextPool, TextThatOutlivesThePool_IsFreed) {
  std::shared_ptr<const std::string> text;
  {
    TextPool pool;
    text = pool.share(std::string(100'000, 'x'));
  }
  EXPECT_EQ(text->size(), 100'000U);
}

}  // namespace
}  // namespace svc::registry
