#include "common/core/time_text.hpp"

#include <array>
#include <cstdint>
#include <cstdio>

namespace svc {
namespace {

struct Broken {
  int year;
  unsigned month;
  unsigned day;
  unsigned weekday;  // 0 = Sunday
  int hour;
  int minute;
  int second;
  int microsecond;
};

Broken break_down(WallTime time) {
  const auto days = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date(days);
  const std::chrono::hh_mm_ss clock(time - days);
  return Broken{static_cast<int>(date.year()),
                static_cast<unsigned>(date.month()),
                static_cast<unsigned>(date.day()),
                std::chrono::weekday(days).c_encoding(),
                static_cast<int>(clock.hours().count()),
                static_cast<int>(clock.minutes().count()),
                static_cast<int>(clock.seconds().count()),
                static_cast<int>(clock.subseconds().count())};
}

}  // namespace

std::string iso8601(WallTime time) {
  const Broken t = break_down(time);
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), "%04d-%02u-%02uT%02d:%02d:%02d.%06dZ", t.year, t.month, t.day, t.hour,
                t.minute, t.second, t.microsecond);
  return text.data();
}

double epoch_seconds(WallTime time) {
  // One division of an integer below 2^53: the nearest double, so that its shortest text has at most six decimals.
  return static_cast<double>(time.time_since_epoch().count()) / 1e6;
}

std::string http_date(WallTime time) {
  constexpr std::array<const char*, 7> kDays{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  constexpr std::array<const char*, 12> kMonths{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const Broken t = break_down(time);
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), "%s, %02u %s %04d %02d:%02d:%02d GMT", kDays[t.weekday], t.day,
                kMonths[t.month - 1], t.year, t.hour, t.minute, t.second);
  return text.data();
}

}  // namespace svc
