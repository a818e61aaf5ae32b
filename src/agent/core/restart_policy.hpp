// When to start again after a failure, and when to give up.
//
// The first failure after health restarts after a moment (an idle GPU is what costs); after that full-jitter
// exponential backoff, or the constant delay that the earlier agents had. Start limit as systemd's
// StartLimitBurst/StartLimitIntervalSec.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>

#include "common/core/backoff.hpp"
#include "common/core/clock.hpp"

namespace svc::agent {

struct RestartSettings {
  Duration constant_delay{};  ///< above 0: always this, without jitter
  /// Before the first restart after health; never more than the backoff's first wait. For so long the registry says
  /// `unhealthy`, so that those who poll see it, and drivers give back the memory of the GPU.
  Duration first_delay{std::chrono::milliseconds(200)};
  BackoffSettings backoff{std::chrono::seconds(1), std::chrono::seconds(60), 2.0};
  Duration healthy_after{std::chrono::minutes(10)};
  std::int64_t start_limit = 5;  ///< failures within the interval; 0 = none
  Duration start_limit_interval{std::chrono::minutes(10)};
  std::int64_t max_restarts = 10'000;  ///< since the agent began, or since forgive()
};

class RestartPolicy {
 public:
  explicit RestartPolicy(RestartSettings settings);

  /// The instance became ready.
  void became_ready(TimePoint now) { ready_since_ = now; }
  /// The instance failed: how long to wait before the next start, or nullopt: failed for good. `random`: 64 uniform
  /// bits. After healthy_after of uninterrupted readiness all earlier failures are forgotten first. The first
  /// failure in a row waits for first_delay only, when the instance had been ready.
  [[nodiscard]] std::optional<Duration> failed(TimePoint now, std::uint64_t random);
  /// The instance ended because it was told to: what follows is not its readiness any more.
  void ended() { ready_since_.reset(); }
  /// Somebody asked for a restart: limits and backoff start afresh.
  void forgive();

  [[nodiscard]] std::int64_t restarts() const { return restarts_; }  ///< waits handed out, ever
  /// Failures that count against the limit at this moment.
  [[nodiscard]] std::int64_t recent_failures(TimePoint now) const;

 private:
  [[nodiscard]] bool proven(TimePoint now) const;
  void forget_failures();
  Duration next_wait(bool was_ready, std::uint64_t random);

  RestartSettings settings_;
  Backoff backoff_;
  std::deque<TimePoint> failures_;  ///< those within the interval, oldest first
  bool first_in_a_row_ = true;
  std::optional<TimePoint> ready_since_;
  std::int64_t restarts_ = 0;
  std::int64_t unforgiven_restarts_ = 0;
};

}  // namespace svc::agent
