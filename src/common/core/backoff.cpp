#include "common/core/backoff.hpp"

#include <algorithm>
#include <limits>

namespace svc {

Backoff::Backoff(BackoffSettings settings) : settings_(settings) {
  settings_.max = std::max(settings_.max, Duration::zero());
  settings_.first = std::clamp(settings_.first, Duration::zero(), settings_.max);
  if (!(settings_.factor >= 1.0)) settings_.factor = 1.0;  // also NaN
  reset();
}

Duration Backoff::next(std::uint64_t random_bits) {
  // 53 bits: all that a double in [0, 1) can carry.
  const double share = static_cast<double>(random_bits >> 11) * 0x1.0p-53;
  const Duration wait{static_cast<Duration::rep>(share * (static_cast<double>(ceiling().count()) + 1.0))};
  const Duration chosen = std::min(wait, ceiling());
  const auto max_ns = static_cast<double>(settings_.max.count());
  ceiling_ns_ = std::min(ceiling_ns_ * settings_.factor, max_ns);
  if (attempts_ < std::numeric_limits<unsigned>::max()) ++attempts_;
  return chosen;
}

Duration Backoff::ceiling() const {
  if (ceiling_ns_ >= static_cast<double>(settings_.max.count())) return settings_.max;
  return Duration{static_cast<Duration::rep>(ceiling_ns_)};
}

void Backoff::reset() {
  ceiling_ns_ = static_cast<double>(settings_.first.count());
  attempts_ = 0;
}

}  // namespace svc
