#include "router/io/retry_budget.hpp"

namespace svc::router {

void RetryBudget::count_request(TimePoint now) {
  const std::lock_guard guard(lock_);
  window_.count_request(now);
}

bool RetryBudget::try_retry(TimePoint now, const RetrySettings& settings) {
  const std::lock_guard guard(lock_);
  return window_.try_retry(now, settings);
}

}  // namespace svc::router
