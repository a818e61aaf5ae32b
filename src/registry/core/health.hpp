// What probes say about one service: unknown until the first verdict, unhealthy after N consecutive failures,
// healthy again after M consecutive successes.
#pragma once

#include <cstdint>

namespace svc::registry {

enum class HealthStatus { unknown, healthy, unhealthy };
const char* to_string(HealthStatus status);

struct HealthSettings {
  std::int64_t unhealthy_after = 3;  ///< consecutive failures, unless the service brings its own max_fails
  std::int64_t healthy_after = 1;    ///< consecutive successes
  bool periodic = true;              ///< services are probed without being asked for
};

class Health {
 public:
  /// `unhealthy_after` 0: failures are counted but never make it unhealthy. Returns true when the status changed.
  bool record(bool success, std::int64_t unhealthy_after, std::int64_t healthy_after);

  HealthStatus status() const { return status_; }
  std::int64_t consecutive_failures() const { return failures_; }
  std::int64_t consecutive_successes() const { return successes_; }

 private:
  HealthStatus status_ = HealthStatus::unknown;
  std::int64_t failures_ = 0;
  std::int64_t successes_ = 0;
};

}  // namespace svc::registry
