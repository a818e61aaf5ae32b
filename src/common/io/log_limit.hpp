// Limits the lines of one place in the code that a peer can make us repeat, and tells how many it held back.
//   if (auto pass = limiter_.check(now)) log.warn("bad request", {{"peer", peer}, {"suppressed", pass->suppressed}});
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>

#include "common/core/clock.hpp"
#include "common/core/token_bucket.hpp"

namespace svc {

/// Any thread may call it.
class LogLimiter {
 public:
  struct Pass {
    std::uint64_t suppressed;  ///< lines held back since the last one that passed
  };

  /// `burst` lines at once (at least 1), then `per_second` lines a second. The bucket is full at the first check.
  LogLimiter(double burst, double per_second);

  /// nullopt: do not write this line; it is counted.
  [[nodiscard]] std::optional<Pass> check(TimePoint now);

 private:
  const double burst_;
  const double per_second_;
  std::mutex mutex_;
  std::optional<TokenBucket> bucket_;
  std::uint64_t suppressed_ = 0;
};

}  // namespace svc
