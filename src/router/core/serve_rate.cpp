#include "router/core/serve_rate.hpp"

#include <algorithm>
#include <cmath>

namespace svc::router {
namespace {

constexpr double kTimeConstant = 30;  // seconds

}  // namespace

void ServeRate::count(TimePoint now) {
  if (since_ == TimePoint{}) since_ = at_ = now;
  per_second_ *= std::exp(-seconds_between(at_, now) / kTimeConstant);
  per_second_ += 1 / kTimeConstant;
  at_ = std::max(at_, now);
}

unsigned ServeRate::retry_after(std::size_t waiting, TimePoint now) const {
  constexpr double kLongest = 60;
  if (waiting == 0 || since_ == TimePoint{}) return 1;
  const double decayed = per_second_ * std::exp(-seconds_between(at_, now) / kTimeConstant);
  // What was counted in a young window is the share of it that has passed; less than a second says little.
  const double age = std::max(1.0, seconds_between(since_, now));
  const double rate = decayed / (1 - std::exp(-age / kTimeConstant));
  const double seconds = std::ceil(static_cast<double>(waiting) / std::max(rate, 1e-3));
  return static_cast<unsigned>(std::clamp(seconds, 1.0, kLongest));
}

}  // namespace svc::router
