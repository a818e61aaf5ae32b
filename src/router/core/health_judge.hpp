// Active health of one upstream: what the answers to its probes mean, and when the next probe is due. Pure.
//
// max_errors bad probes in a row make it down (a refused connection at once: nothing listens there), healthy_after
// good ones bring it back. A bad probe of one that is up is repeated soon, so that three of them take seconds and not
// three intervals (HAProxy's fastinter); one that is out is probed every recovery_interval (its downinter).
#pragma once

#include <cstdint>

#include "common/core/clock.hpp"
#include "router/core/upstream.hpp"

namespace svc::router {

struct HealthRules {
  Duration interval{std::chrono::seconds(30)};
  Duration recovery_interval{std::chrono::milliseconds(500)};
  std::int64_t max_errors = 3;
  std::int64_t healthy_after = 1;
};

enum class ProbeFinding : std::uint8_t {
  good,
  bad,      ///< no answer, or one that says that it is not well
  refused,  ///< nothing listens there, or its agent confirms that it is down
};

/// An answer to GET /health with one of these says that the instance has no such page (or wants a key for it), not
/// that it is unwell: another page tells whether it lives.
[[nodiscard]] bool has_no_health_page(int status);

class HealthJudge {
 public:
  [[nodiscard]] ProbeVerdict verdict() const { return verdict_; }
  /// Returns whether the verdict changed.
  bool probed(ProbeFinding finding, const HealthRules& rules);
  /// By HungWatch.
  void declare_hung();
  /// It has no address to probe, or has one again: down, and then unknown as when it was new.
  void declare_down();
  void forget();

  /// From the end of a probe to the next. `ejected`: out by its failures, whatever the probes say. `random`: a tenth
  /// of jitter either way; the first wait of a new upstream is any part of the interval, so that a fleet that was
  /// found at once is not probed at once for ever.
  [[nodiscard]] Duration next_after(bool ejected, std::uint64_t random, const HealthRules& rules);

 private:
  ProbeVerdict verdict_ = ProbeVerdict::unknown;
  std::int64_t bad_in_a_row_ = 0;
  std::int64_t good_in_a_row_ = 0;
  bool spread_ = false;
};

/// 0.9 to 1.1 times `wait`.
[[nodiscard]] Duration jittered(Duration wait, std::uint64_t random);

}  // namespace svc::router
