#include "common/core/time_text.hpp"

#include <gtest/gtest.h>

#include "common/core/json_text.hpp"

namespace svc {
namespace {

WallTime at(std::int64_t seconds, std::int64_t microseconds = 0) {
  return WallTime{std::chrono::seconds(seconds) + std::chrono::microseconds(microseconds)};
}

TEST(Iso8601, Times_HaveMicrosecondsAndZ) {
  EXPECT_EQ(iso8601(at(0)), "1970-01-01T00:00:00.000000Z");
  EXPECT_EQ(iso8601(at(1795435200, 123456)), "2026-11-23T12:00:00.123456Z");
  EXPECT_EQ(iso8601(at(951782400 + 86399, 999999)), "2000-02-29T23:59:59.999999Z");
  EXPECT_EQ(iso8601(at(0) - std::chrono::microseconds(1)), "1969-12-31T23:59:59.999999Z");
  EXPECT_EQ(iso8601(at(253402300799)), "9999-12-31T23:59:59.000000Z");
}

TEST(EpochSeconds, Microseconds_SurviveInText) {
  EXPECT_DOUBLE_EQ(epoch_seconds(at(1795435200, 500000)), 1795435200.5);
  std::string text;
  append_json_double(text, epoch_seconds(at(1795435200, 123456)));
  EXPECT_EQ(text, "1795435200.123456");
}

TEST(HttpDate, Times_AreInImfFixdate) {
  EXPECT_EQ(http_date(at(784111777)), "Sun, 06 Nov 1994 08:49:37 GMT");  // the example of RFC 9110
  EXPECT_EQ(http_date(at(1795435200, 999999)), "Mon, 23 Nov 2026 12:00:00 GMT");
  EXPECT_EQ(http_date(at(0)), "Thu, 01 Jan 1970 00:00:00 GMT");
}

}  // namespace
}  // namespace svc
