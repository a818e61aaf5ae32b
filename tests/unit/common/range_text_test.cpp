#include "common/core/range_text.hpp"

#include <gtest/gtest.h>

#include <limits>

namespace svc {
namespace {

using namespace std::chrono_literals;

TEST(RangeText, Bounds_AreWordedByWhatThereIs) {
  using Int = std::numeric_limits<std::int64_t>;
  EXPECT_EQ(integer_range(1, 65535), "1 to 65535");
  EXPECT_EQ(integer_range(-5, Int::max()), "at least -5");
  EXPECT_EQ(integer_range(Int::min(), 9), "at most 9");
  EXPECT_EQ(integer_range(Int::min(), Int::max()), "");
  EXPECT_EQ(number_range(0.5, 2), "0.5 to 2");
  EXPECT_EQ(number_range(0, std::numeric_limits<double>::max()), "at least 0");
  EXPECT_EQ(duration_range(500ms, 1h), "500ms to 1h");
  EXPECT_EQ(duration_range(1s, Duration::max()), "at least 1s");
  EXPECT_EQ(text_range({1, 253}), "1 to 253 bytes");
  EXPECT_EQ(text_range({.min = 1}), "at least 1 bytes");
  EXPECT_EQ(text_range({}), "");
}

TEST(WithRange, Phrase_ReadsAsASentence) {
  EXPECT_EQ(with_range("an integer", "1 to 9"), "an integer from 1 to 9");
  EXPECT_EQ(with_range("a duration", "at least 1s"), "a duration of at least 1s");
  EXPECT_EQ(with_range("a number", ""), "a number");
}

}  // namespace
}  // namespace svc
