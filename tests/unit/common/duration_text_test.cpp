#include "common/core/duration_text.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>

namespace svc {
namespace {

using namespace std::chrono_literals;

TEST(ParseDuration, GoodText_GivesExactValue) {
  struct Row {
    std::string text;
    Duration value;
  };
  const Row rows[] = {
      {"500ms", 500ms},
      {"30s", 30s},
      {"5m", 5min},
      {"1h", 1h},
      {"2d", 48h},
      {"1.5s", 1500ms},
      {"45", 45s},
      {"0.5", 500ms},
      {"0", 0s},
      {"0s", 0s},
      {"0.1s", 100ms},
      {"0.1", 100ms},
      {"0.3h", 18min},
      {"250us", 250us},
      {"7ns", 7ns},
      {"1.5ms", 1500us},
      {"0.000000001", 1ns},
      {"0.0000000001", 0ns},
      {"1.9999999999999999999999999999", 1999999999ns},
      {"007s", 7s},
      {"1.50s", 1500ms},
      {"9223372036854775807ns", Duration::max()},
      {"9223372036.854775807s", Duration::max()},
      {"106751d", 106751 * 24h},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.text);
    const auto result = parse_duration(row.text);
    ASSERT_TRUE(result.has_value()) << result.error().message;
    EXPECT_EQ(*result, row.value);
  }
}

TEST(ParseDuration, BadText_IsRefused) {
  const std::string rows[] = {
      "",     " ",    "s",      "ms",    "abc",
      "5 s",  " 5s",  "5s ",    "-5s",   "+5s",
      "5S",   "5sec", "1h30m",  "1.",    ".5s",
      "1..5", "1.s",  "1e3s",   "0x10s", "5s\n",
      "5,5s", "inf",  "nan",    "1_0",   std::string("5\0", 2),
      "٣s",   "5h5",  "5.5.5s",
  };
  for (const std::string& text : rows) {
    SCOPED_TRACE(text);
    const auto result = parse_duration(text);
    ASSERT_TRUE(result.has_error());
    EXPECT_EQ(result.error().code, Errc::invalid_argument);
    EXPECT_EQ(result.error().source, ErrorSource::client);
  }
}

TEST(ParseDuration, BadText_SaysWhatIsAccepted) {
  EXPECT_EQ(parse_duration("5 sec").error().message,
            "'5 sec' is not a duration; write a number with ms, s, m, h or d, for example 500ms, 30s or 1.5h");
}

TEST(ParseDuration, BeyondTheRange_IsTooLong) {
  for (const std::string& text :
       {std::string("9223372036854775808ns"), std::string("9223372036.854775808s"), std::string("106752d"),
        std::string("2562048h"), std::string("99999999999999999999"), std::string(400, '9')}) {
    SCOPED_TRACE(text);
    const auto result = parse_duration(text);
    ASSERT_TRUE(result.has_error());
    EXPECT_EQ(result.error().message, "'" + text.substr(0, 40) + "' is too long a duration");
  }
}

TEST(ParseDuration, MegabyteOfDigits_GivesShortMessage) {
  const auto whole = parse_duration(std::string(1'000'000, '9'));
  ASSERT_TRUE(whole.has_error());
  EXPECT_LT(whole.error().message.size(), 100U);
  EXPECT_EQ(*parse_duration("0." + std::string(1'000'000, '9')), 999'999'999ns);
}

TEST(FormatDuration, Value_GivesShortestExactText) {
  struct Row {
    Duration value;
    std::string text;
  };
  const Row rows[] = {
      {0s, "0s"},
      {1s, "1s"},
      {90s, "90s"},
      {60s, "1m"},
      {300s, "5m"},
      {3600s, "1h"},
      {48h, "48h"},
      {1500ms, "1.5s"},
      {500ms, "500ms"},
      {250us, "250us"},
      {1500us, "1500us"},
      {7ns, "7ns"},
      {1s + 1ns, "1.000000001s"},
      {61s + 250ms, "61.25s"},
      {-30s, "-30s"},
      {-1500ms, "-1.5s"},
      {Duration::max(), "9223372036.854775807s"},
      {Duration::min(), "-9223372036.854775808s"},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.text);
    EXPECT_EQ(format_duration(row.value), row.text);
  }
}

TEST(FormatDuration, Text_ReadsBackToTheSameValue) {
  std::uint64_t state = 1;
  for (int i = 0; i < 20'000; ++i) {
    state = state * 6364136223846793005U + 1442695040888963407U;
    const Duration value{static_cast<std::int64_t>(state >> 1 >> (i % 60))};
    const auto back = parse_duration(format_duration(value));
    ASSERT_TRUE(back.has_value()) << format_duration(value);
    ASSERT_EQ(*back, value) << format_duration(value);
  }
}

TEST(DurationFromSeconds, GoodNumber_IsRounded) {
  EXPECT_EQ(*duration_from_seconds(0.0), 0s);
  EXPECT_EQ(*duration_from_seconds(0.1), 100ms);
  EXPECT_EQ(*duration_from_seconds(30.0), 30s);
  EXPECT_EQ(*duration_from_seconds(1e-10), 0ns);
}

TEST(DurationFromSeconds, ImpossibleNumber_IsRefused) {
  for (const double bad : {-1.0, -1e-9, std::nan(""), std::numeric_limits<double>::infinity(), 9.3e9, 1e300}) {
    SCOPED_TRACE(bad);
    EXPECT_TRUE(duration_from_seconds(bad).has_error());
  }
}

TEST(ToSeconds, Value_IsInSeconds) { EXPECT_DOUBLE_EQ(to_seconds(1500ms), 1.5); }

}  // namespace
}  // namespace svc
