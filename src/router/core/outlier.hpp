// Passive health of one upstream: when its failures take it out, and for how long. nginx's max_fails and fail_timeout,
// with two additions: a refused connection takes it out at once (nothing listens there) for a short, growing time, and
// a good probe brings it back early.
#pragma once

#include <cstdint>

#include "common/core/clock.hpp"
#include "router/core/failure_reason.hpp"

namespace svc::router {

struct OutlierSettings {
  Duration refused_first{std::chrono::seconds(1)};  ///< out for this long after a refused connection, doubling ...
  Duration refused_most{std::chrono::seconds(60)};  ///< ... up to this; never longer than it
};

/// Not thread-safe: io/outlier_board.hpp keeps one per upstream under a lock. Differs from nginx in that a window of
/// fail_timeout begins with its first failure and is not stretched by later ones.
class Outlier {
 public:
  /// Counts a failure. Returns until when the upstream is ejected by it, or TimePoint{} when it is not: after max_fails
  /// failures within fail_timeout for fail_timeout; after that time one more failure ejects it again, unless an answer
  /// began in between. A refused connection is not one of the max_fails: it ejects at once, for its own time (those
  /// that come while it is out change nothing). max_fails 0: never ejected. Failures that do not blame the upstream
  /// count for nothing. `random`: refusals end up to a tenth earlier, so that routers do not come back together.
  TimePoint failed(FailureReason reason, TimePoint now, std::int64_t max_fails, Duration fail_timeout,
                   const OutlierSettings& settings, std::uint64_t random);
  /// An answer began: growth starts over, and the trial after an ejection is passed. Failures in the window stay
  /// counted.
  void succeeded();
  /// A good probe. Returns whether the ejection ends by it: yes when a connection was refused meanwhile (it was down and
  /// is up again), and then the count starts over; one for max_fails alone stays until fail_timeout is over, and its
  /// failures stay counted (its probes were fine all the time).
  bool probed_good();

  [[nodiscard]] std::int64_t fails() const { return fails_; }

 private:
  TimePoint refused(TimePoint now, const OutlierSettings& settings, std::uint64_t random);

  std::int64_t fails_ = 0;  // within the window
  TimePoint window_began_{};
  TimePoint out_for_fails_until_{};
  TimePoint refused_until_{};
  bool on_trial_ = false;  // was ejected for max_fails, and no answer began since
  unsigned refused_in_a_row_ = 0;
  bool out_for_refusal_ = false;
};

}  // namespace svc::router
