#include "common/core/token_bucket.hpp"

#include <algorithm>

namespace svc {

TokenBucket::TokenBucket(double capacity, double refill_per_second, TimePoint now)
    : capacity_(std::max(capacity, 0.0)),
      refill_per_second_(std::max(refill_per_second, 0.0)),
      tokens_(capacity_),
      last_(now) {}

double TokenBucket::available(TimePoint now) const {
  if (now <= last_) return tokens_;
  const double elapsed = std::chrono::duration<double>(now - last_).count();
  return std::min(capacity_, tokens_ + elapsed * refill_per_second_);
}

bool TokenBucket::try_take(TimePoint now, double n) {
  tokens_ = available(now);
  last_ = std::max(last_, now);
  if (!(n <= tokens_)) return false;
  tokens_ -= std::max(n, 0.0);
  return true;
}

}  // namespace svc
