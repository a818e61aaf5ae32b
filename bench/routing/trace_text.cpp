#include "bench/routing/trace_text.hpp"

#include <chrono>

namespace svc::routing {

std::optional<double> stamp_seconds(std::string_view stamp, char separator) {
  const auto day = take_field(stamp, separator);
  if (stamp.ends_with('Z')) stamp.remove_suffix(1);
  if (day.size() != 10 || stamp.size() < 8 || stamp[2] != ':' || stamp[5] != ':') return std::nullopt;
  const auto year = to_number<int>(day.substr(0, 4));
  const auto month = to_number<unsigned>(day.substr(5, 2));
  const auto date = to_number<unsigned>(day.substr(8, 2));
  const auto hour = to_number<unsigned>(stamp.substr(0, 2));
  const auto minute = to_number<unsigned>(stamp.substr(3, 2));
  const auto second = to_number<double>(stamp.substr(6));
  if (!year || !month || !date || !hour || !minute || !second) return std::nullopt;
  const std::chrono::year_month_day calendar{std::chrono::year(*year), std::chrono::month(*month),
                                             std::chrono::day(*date)};
  if (!calendar.ok()) return std::nullopt;
  const auto days = std::chrono::sys_days(calendar).time_since_epoch().count();
  return static_cast<double>(days) * 86400 + *hour * 3600 + *minute * 60 + *second;
}

}  // namespace svc::routing
