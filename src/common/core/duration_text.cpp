#include "common/core/duration_text.hpp"

#include <array>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <limits>
#include <system_error>

#include "common/core/ascii.hpp"
#include "common/core/json_text.hpp"

namespace svc {
namespace {

struct Unit {
  std::string_view name;
  std::int64_t nanoseconds;
};
// Largest first: format_duration takes the first that divides the value.
constexpr std::array kUnits{
    Unit{"h", 3'600'000'000'000}, Unit{"m", 60'000'000'000}, Unit{"s", 1'000'000'000},
    Unit{"ms", 1'000'000},        Unit{"us", 1'000},         Unit{"ns", 1},
};
constexpr std::int64_t kDay = 24 * kUnits[0].nanoseconds;
constexpr std::int64_t kSecond = kUnits[2].nanoseconds;

__extension__ using Wide = __int128;

std::int64_t unit_of(std::string_view name) {
  if (name.empty()) return kSecond;
  if (name == "d") return kDay;
  for (const Unit& unit : kUnits) {
    if (unit.name == name) return unit.nanoseconds;
  }
  return 0;
}

Error bad_duration(std::string_view text) {
  return invalid("'" + valid_utf8(text.substr(0, 40)) +
                 "' is not a duration; write a number with ms, s, m, h or d, for example 500ms, 30s or 1.5h");
}

Error too_long(std::string_view text) {
  return invalid("'" + valid_utf8(text.substr(0, 40)) + "' is too long a duration");
}

std::string decimal(std::uint64_t value) { return std::to_string(value); }

}  // namespace

Result<Duration> parse_duration(std::string_view text) {
  std::size_t at = 0;
  while (at < text.size() && is_digit(text[at])) ++at;
  const std::string_view whole = text.substr(0, at);
  std::string_view fraction;
  if (at < text.size() && text[at] == '.') {
    const std::size_t start = ++at;
    while (at < text.size() && is_digit(text[at])) ++at;
    fraction = text.substr(start, at - start);
    if (fraction.empty()) return bad_duration(text);
  }
  if (whole.empty()) return bad_duration(text);
  const std::int64_t unit = unit_of(text.substr(at));
  if (unit == 0) return bad_duration(text);

  std::int64_t count = 0;
  if (std::from_chars(whole.data(), whole.data() + whole.size(), count).ec != std::errc{}) return too_long(text);
  std::int64_t total = 0;
  if (__builtin_mul_overflow(count, unit, &total)) return too_long(text);
  // In integers: 0.1 s must be 100 ms exactly. 14 digits reach below a nanosecond even for days.
  std::int64_t scale = 1;
  std::int64_t fraction_value = 0;
  for (const char digit : fraction.substr(0, 14)) {
    fraction_value = fraction_value * 10 + (digit - '0');
    scale *= 10;
  }
  const auto part = static_cast<std::int64_t>(Wide{fraction_value} * unit / scale);
  if (__builtin_add_overflow(total, part, &total)) return too_long(text);
  return Duration{total};
}

std::string format_duration(Duration value) {
  const std::int64_t count = value.count();
  if (count == 0) return "0s";
  std::string out = count < 0 ? "-" : "";
  // Through unsigned: the most negative value has no positive counterpart.
  const std::uint64_t size = count < 0 ? 0 - static_cast<std::uint64_t>(count) : static_cast<std::uint64_t>(count);
  const auto second = static_cast<std::uint64_t>(kSecond);
  if (size > second && size % second != 0) {
    std::string fraction = decimal(size % second);
    fraction.insert(0, 9 - fraction.size(), '0');
    fraction.erase(fraction.find_last_not_of('0') + 1);
    return out + decimal(size / second) + "." + fraction + "s";
  }
  for (const Unit& unit : kUnits) {
    const auto worth = static_cast<std::uint64_t>(unit.nanoseconds);
    if (size % worth == 0) return out.append(decimal(size / worth)).append(unit.name);
  }
  return out;
}

Result<Duration> duration_from_seconds(double seconds) {
  if (!std::isfinite(seconds) || seconds < 0) return invalid("a duration must be a number of seconds, 0 or more");
  const double nanoseconds = std::round(seconds * static_cast<double>(kSecond));
  if (nanoseconds >= static_cast<double>(std::numeric_limits<std::int64_t>::max())) {
    return invalid("a duration must be less than 292 years");
  }
  return Duration{static_cast<std::int64_t>(nanoseconds)};
}

double to_seconds(Duration value) { return std::chrono::duration<double>(value).count(); }

}  // namespace svc
