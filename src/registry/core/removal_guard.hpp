// Self-preservation: a network cut at the registry must not empty the fleet.
//
// Two brakes, both after Eureka (which evicts at most 15 % per run, in random order, and stops when renewals collapse):
// a sweep removes at most `max_share` of the fleet (but always at least one), and when more than half of all leases ran
// out together (three leases or more) removal stops until at least half of the fleet's leases are alive again or
// `hold_limit` has passed. "Together" is within one interval or, when leases are longer than that, within the longest
// lease that ran out: after one cut of the network short leases end long before long ones do.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "common/core/clock.hpp"

namespace svc::registry {

struct RemovalSettings {
  double max_share = 0.15;  ///< of the fleet per sweep, 0 < share <= 1
  Duration interval{
      std::chrono::seconds(60)};  ///< shortest window in which expirations are counted (the sweep interval)
  Duration hold_limit{
      std::chrono::hours(1)};  ///< and what a longer lease makes of the window is never longer than this
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

  /// One lease, `length` long, ran out. `fleet` and `alive` are counts after it.
  void lease_expired(TimePoint now, Duration length, std::size_t fleet, std::size_t alive);
  /// Lifts a hold whose reason has gone. Cheap; call it whenever time has passed.
  void review(TimePoint now, std::size_t fleet, std::size_t alive);
  /// How many of `stale` services the sweep at `now` may remove.
  std::size_t allowance(TimePoint now, std::size_t fleet, std::size_t alive, std::size_t stale);
  const RemovalStatus& status() const { return status_; }

 private:
  struct Expiry {
    TimePoint at;
    Duration length;
  };
  Duration window() const;
  void forget_before(TimePoint now);
  void forget_oldest();

  RemovalSettings settings_;
  std::deque<Expiry> expired_;  ///< oldest first; never more than the fleet had services
  std::deque<Duration>
      longest_;  ///< its front is the longest in expired_, then the longest of what came after that one
  RemovalStatus status_;
};

}  // namespace svc::registry
