#include "registry/core/health.hpp"

#include <limits>

namespace svc::registry {

const char* to_string(HealthStatus status) {
  switch (status) {
    case HealthStatus::unknown: return "unknown";
    case HealthStatus::healthy: return "healthy";
    case HealthStatus::unhealthy: return "unhealthy";
  }
  return "unknown";
}

bool Health::record(bool success, std::int64_t unhealthy_after, std::int64_t healthy_after) {
  std::int64_t& run = success ? successes_ : failures_;
  std::int64_t& other = success ? failures_ : successes_;
  other = 0;
  if (run < std::numeric_limits<std::int64_t>::max()) ++run;

  HealthStatus next = status_;
  if (success && successes_ >= healthy_after) next = HealthStatus::healthy;
  if (!success && unhealthy_after > 0 && failures_ >= unhealthy_after) next = HealthStatus::unhealthy;
  const bool changed = next != status_;
  status_ = next;
  return changed;
}

}  // namespace svc::registry
