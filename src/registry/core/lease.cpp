#include "registry/core/lease.hpp"

#include <algorithm>
#include <cmath>

namespace svc::registry {
namespace {

constexpr Duration kLongestRemoveAfter = std::chrono::hours(24 * 365 * 10);

}  // namespace

LeaseTerms lease_terms(Duration default_lease, Duration default_remove_after,
                       std::optional<Duration> heartbeat_interval, std::optional<Duration> remove_after) {
  LeaseTerms terms{default_lease, default_remove_after};
  if (heartbeat_interval) {
    terms.alive_for = std::max(*heartbeat_interval * kIntervalsPerLease, kMinLease);
    // In floating point: the product of two durations in nanoseconds does not fit 64 bits.
    const double ratio = default_lease.count() > 0 ? static_cast<double>(default_remove_after.count()) /
                                                         static_cast<double>(default_lease.count())
                                                   : 1.0;
    const double removed_after = static_cast<double>(terms.alive_for.count()) * ratio;
    terms.remove_after =
        Duration(std::llround(std::min(removed_after, static_cast<double>(kLongestRemoveAfter.count()))));
  }
  if (remove_after) terms.remove_after = *remove_after;
  terms.remove_after = std::max(terms.remove_after, terms.alive_for);
  return terms;
}

}  // namespace svc::registry
