// An absolute point in monotonic time by which something must be done, or "never". A value: pass it down by copy.
// After userver's Deadline: the caller's limit is handed to every step, so that steps share one budget.
#pragma once

#include <algorithm>

#include "common/core/clock.hpp"

namespace svc {

class Deadline {
 public:
  /// Never expires. Also the default.
  constexpr Deadline() = default;
  [[nodiscard]] static constexpr Deadline never() { return Deadline{}; }
  [[nodiscard]] static constexpr Deadline at(TimePoint when) { return Deadline{when}; }
  /// now + limit; a sum beyond the end of time is never. A negative limit has already expired.
  [[nodiscard]] static constexpr Deadline after(TimePoint now, Duration limit) {
    if (limit > Duration::zero() && now > TimePoint::max() - limit) return never();
    if (limit < Duration::zero()) return Deadline{now};
    return Deadline{now + limit};
  }
  [[nodiscard]] static constexpr Deadline earlier_of(Deadline a, Deadline b) {
    return Deadline{std::min(a.when_, b.when_)};
  }

  [[nodiscard]] constexpr bool is_never() const { return when_ == TimePoint::max(); }
  /// True from the very instant on.
  [[nodiscard]] constexpr bool expired(TimePoint now) const { return !is_never() && now >= when_; }
  /// Time left, never negative; Duration::max() for never.
  [[nodiscard]] constexpr Duration left(TimePoint now) const {
    if (is_never()) return Duration::max();
    if (now >= when_) return Duration::zero();
    // Far apart on both sides of zero: the difference itself would overflow.
    if (now < TimePoint{} && when_ > TimePoint::max() + now.time_since_epoch()) return Duration::max();
    return when_ - now;
  }
  /// For timers; TimePoint::max() for never.
  [[nodiscard]] constexpr TimePoint when() const { return when_; }

  friend constexpr bool operator==(Deadline, Deadline) = default;

 private:
  constexpr explicit Deadline(TimePoint when) : when_(when) {}
  TimePoint when_ = TimePoint::max();
};

}  // namespace svc
