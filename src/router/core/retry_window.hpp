// How many retries the requests of the last ten seconds pay for.
#pragma once

#include <array>
#include <cstdint>

#include "common/core/clock.hpp"
#include "router/core/retry_policy.hpp"

namespace svc::router {

/// Retries over requests in the last ten seconds: allowed up to budget_share of the requests, and in any case
/// budget_minimum in each second. Source: Finagle's and Envoy's retry budgets (20 %, at least 3). Not thread-safe. A
/// `now` earlier than the last one counts as no time passed.
class RetryWindow {
 public:
  explicit RetryWindow(TimePoint now) : second_began_(now) {}
  void count_request(TimePoint now);
  /// False: the budget is used up. True counts the retry.
  [[nodiscard]] bool try_retry(TimePoint now, const RetrySettings& settings);

 private:
  static constexpr unsigned kSeconds = 10;
  void roll(TimePoint now);

  TimePoint second_began_;
  unsigned second_ = 0;
  std::array<std::uint64_t, kSeconds> requests_{}, retries_{};  // by second
};

}  // namespace svc::router
