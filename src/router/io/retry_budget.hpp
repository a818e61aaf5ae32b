// The retry budget of the whole router: one RetryWindow for all data threads.
#pragma once

#include <mutex>

#include "router/core/retry_window.hpp"

namespace svc::router {

/// Any thread. Times are those of the caller's loop; one that is a little behind another's does no harm.
class RetryBudget {
 public:
  explicit RetryBudget(TimePoint now) : window_(now) {}
  void count_request(TimePoint now);
  /// False: the budget is used up. True counts the retry.
  [[nodiscard]] bool try_retry(TimePoint now, const RetrySettings& settings);

 private:
  std::mutex lock_;
  RetryWindow window_;
};

}  // namespace svc::router
