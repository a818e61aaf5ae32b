// Token bucket over a given clock: rate limits for log lines, restarts and requests. Starts full.
#pragma once

#include "common/core/clock.hpp"

namespace svc {

/// Not thread-safe. A `now` earlier than the last one counts as no time passed.
class TokenBucket {
 public:
  /// Negative arguments count as 0; capacity is the burst that a rested bucket allows.
  TokenBucket(double capacity, double refill_per_second, TimePoint now);

  /// Takes n tokens when there are that many, else takes none. n above the capacity never succeeds.
  [[nodiscard]] bool try_take(TimePoint now, double n = 1.0);
  /// Tokens there at `now`.
  [[nodiscard]] double available(TimePoint now) const;

 private:
  double capacity_;
  double refill_per_second_;
  double tokens_;
  TimePoint last_;
};

}  // namespace svc
