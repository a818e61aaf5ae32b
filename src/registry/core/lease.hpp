// One service's lease: how long it counts as alive since its last renewal, and when it may be removed.
//
// Times are steady: a jump of the wall clock changes nothing. `grace_from` (the registry's start, or the end of a pause
// of its process) counts as a renewal of every lease: a registry that was away must not blame the services for it.
#pragma once

#include <chrono>
#include <optional>

#include "common/core/clock.hpp"

namespace svc::registry {

struct LeaseTerms {
  Duration alive_for{};     ///< the lease
  Duration remove_after{};  ///< since the last renewal; never shorter than alive_for
};

inline constexpr int kIntervalsPerLease = 3;  ///< two lost heartbeats in a row are not yet an outage
inline constexpr Duration kMinLease = std::chrono::seconds(5);

/// `heartbeat_interval` makes the lease three intervals, at least 5 s, and scales the removal time-out with it
/// (defaults' ratio); `remove_after` given by the service wins over that.
LeaseTerms lease_terms(Duration default_lease, Duration default_remove_after,
                       std::optional<Duration> heartbeat_interval, std::optional<Duration> remove_after);

struct Lease {
  TimePoint renewed_at{};
  LeaseTerms terms;

  TimePoint start(TimePoint grace_from) const { return renewed_at > grace_from ? renewed_at : grace_from; }
  TimePoint ends(TimePoint grace_from) const { return start(grace_from) + terms.alive_for; }
  bool alive(TimePoint now, TimePoint grace_from) const { return now < ends(grace_from); }
  bool removable(TimePoint now, TimePoint grace_from) const { return now - start(grace_from) > terms.remove_after; }
};

}  // namespace svc::registry
