#include "common/io/log_limit.hpp"

#include <algorithm>
#include <utility>

namespace svc {

LogLimiter::LogLimiter(double burst, double per_second) : burst_(std::max(1.0, burst)), per_second_(per_second) {}

std::optional<LogLimiter::Pass> LogLimiter::check(TimePoint now) {
  const std::lock_guard lock(mutex_);
  if (!bucket_) bucket_.emplace(burst_, per_second_, now);
  if (!bucket_->try_take(now)) {
    ++suppressed_;
    return std::nullopt;
  }
  return Pass{std::exchange(suppressed_, 0)};
}

}  // namespace svc
