// How fast the waiting requests of a model are served, and what Retry-After follows from it.
#pragma once

#include <cstddef>

#include "common/core/clock.hpp"

namespace svc::router {

/// An exponentially weighted rate over about the last half minute. Not thread-safe. A `now` earlier than the last one
/// counts as no time passed.
class ServeRate {
 public:
  /// A request that had waited was served.
  void count(TimePoint now);
  /// Seconds after which a place may be free: those waiting over the rate served lately; 1 to 60. 1 while nothing
  /// is known: the first burst after a start would else stay away for a minute from places that are free in a second.
  [[nodiscard]] unsigned retry_after(std::size_t waiting, TimePoint now) const;

 private:
  double per_second_ = 0;
  TimePoint since_{}, at_{};  // of the first and the last one served
};

}  // namespace svc::router
