#include "router/core/retry_window.hpp"

#include <numeric>

namespace svc::router {

void RetryWindow::roll(TimePoint now) {
  if (now - second_began_ >= std::chrono::seconds(kSeconds)) {
    requests_.fill(0);
    retries_.fill(0);
    second_began_ = now;
    return;
  }
  while (now - second_began_ >= std::chrono::seconds(1)) {
    second_began_ += std::chrono::seconds(1);
    second_ = (second_ + 1) % kSeconds;
    requests_[second_] = retries_[second_] = 0;
  }
}

void RetryWindow::count_request(TimePoint now) {
  roll(now);
  ++requests_[second_];
}

bool RetryWindow::try_retry(TimePoint now, const RetrySettings& settings) {
  roll(now);
  const auto requests = std::accumulate(requests_.begin(), requests_.end(), std::uint64_t{0});
  const auto retries = std::accumulate(retries_.begin(), retries_.end(), std::uint64_t{0});
  const bool within_share = static_cast<double>(retries + 1) <= settings.budget_share * static_cast<double>(requests);
  if (!within_share && retries_[second_] >= settings.budget_minimum) return false;
  ++retries_[second_];
  return true;
}

}  // namespace svc::router
