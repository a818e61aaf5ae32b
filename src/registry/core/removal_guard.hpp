// Self-preservation: a network cut at the registry must not empty the fleet.
//
// Two brakes, both after Eureka (which evicts at most 15 % per run, in random order, and stops when renewals collapse):
// a sweep removes at most `max_share` of the fleet (but always at least one), and when more than half of all leases ran
// out within one interval (three leases or more) removal stops until at least half of the fleet's leases are
// alive again or `hold_limit` has passed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "common/core/clock.hpp"

namespace svc::registry {

struct RemovalSettings {
  double max_share = 0.15;                      ///< of the fleet per sweep, 0 < share <= 1
  Duration interval{std::chrono::seconds(60)};  ///< window in which expirations are counted (the sweep interval)
  Duration hold_limit{std::chrono::hours(1)};
};

struct RemovalStatus {
  bool on_hold = false;
  std::optional<TimePoint> since;
  std::size_t waiting = 0;  ///< stale services that the last sweep left in place
  std::uint64_t holds = 0;  ///< how often removal was stopped since start
};

class RemovalGuard {
 public:
  explicit RemovalGuard(RemovalSettings settings);
  void reconfigure(RemovalSettings settings);

  /// One lease ran out. `fleet` and `alive` are counts after it.
  void lease_expired(TimePoint now, std::size_t fleet, std::size_t alive);
  /// Lifts a hold whose reason has gone. Cheap; call it whenever time has passed.
  void review(TimePoint now, std::size_t fleet, std::size_t alive);
  /// How many of `stale` services the sweep at `now` may remove.
  std::size_t allowance(TimePoint now, std::size_t fleet, std::size_t alive, std::size_t stale);
  const RemovalStatus& status() const { return status_; }

 private:
  void forget_before(TimePoint now);

  RemovalSettings settings_;
  std::deque<TimePoint> expired_;
  RemovalStatus status_;
};

}  // namespace svc::registry
