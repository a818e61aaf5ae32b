// The only place that reads a clock. Everything in core takes `now` as an argument; io calls these two.
#pragma once

#include <chrono>

namespace svc {

using Duration = std::chrono::nanoseconds;
/// Monotonic time: for deadlines, leases, intervals. Means nothing outside this process.
using TimePoint = std::chrono::time_point<std::chrono::steady_clock, Duration>;
/// Calendar time in UTC: for text that people and other machines read. May jump.
using WallTime = std::chrono::time_point<std::chrono::system_clock, std::chrono::microseconds>;

inline TimePoint steady_now() { return std::chrono::time_point_cast<Duration>(std::chrono::steady_clock::now()); }

inline WallTime wall_now() {
  return std::chrono::time_point_cast<std::chrono::microseconds>(std::chrono::system_clock::now());
}

/// 0 when `to` is not after `from`.
inline double seconds_between(TimePoint from, TimePoint to) {
  return to > from ? std::chrono::duration<double>(to - from).count() : 0.0;
}

}  // namespace svc
