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

// Written digit by digit: it stands in every answer, and snprintf would be a tenth of a heartbeat's own work.
std::string iso8601(WallTime time) {
  const Broken t = break_down(time);
  std::string text = "0000-00-00T00:00:00.000000Z";
  const auto put = [&text](std::size_t last, int value, int digits) {
    for (; digits > 0; --digits, value /= 10) {
      text[last--] = static_cast<char>('0' + value % 10);
    }
  };
  put(3, t.year, 4);
  put(6, static_cast<int>(t.month), 2);
  put(9, static_cast<int>(t.day), 2);
  put(12, t.hour, 2);
  put(15, t.minute, 2);
  put(18, t.second, 2);
  put(25, t.microsecond, 6);
  return text;
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
