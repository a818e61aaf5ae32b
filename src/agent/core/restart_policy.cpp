#include "agent/core/restart_policy.hpp"

#include <algorithm>
#include <utility>

namespace svc::agent {

RestartPolicy::RestartPolicy(RestartSettings settings) : settings_(settings), backoff_(settings.backoff) {}

bool RestartPolicy::proven(TimePoint now) const {
  return ready_since_ && now - *ready_since_ >= settings_.healthy_after;
}

void RestartPolicy::forget_failures() {
  failures_.clear();
  backoff_.reset();
  first_in_a_row_ = true;
}

void RestartPolicy::forgive() {
  forget_failures();
  unforgiven_restarts_ = 0;
}

std::optional<Duration> RestartPolicy::failed(TimePoint now, std::uint64_t random) {
  if (proven(now)) forget_failures();
  const bool was_ready = std::exchange(ready_since_, std::nullopt).has_value();
  while (!failures_.empty() && now - failures_.front() >= settings_.start_limit_interval) failures_.pop_front();
  failures_.push_back(now);
  if (settings_.start_limit > 0 && std::cmp_greater_equal(failures_.size(), settings_.start_limit)) return std::nullopt;
  if (unforgiven_restarts_ >= settings_.max_restarts) return std::nullopt;
  ++restarts_;
  ++unforgiven_restarts_;
  return next_wait(was_ready, random);
}

Duration RestartPolicy::next_wait(bool was_ready, std::uint64_t random) {
  const bool first = std::exchange(first_in_a_row_, false);
  if (settings_.constant_delay > Duration::zero()) return settings_.constant_delay;
  if (first && was_ready) return std::min(settings_.first_delay, settings_.backoff.first);
  return backoff_.next(random);
}

std::int64_t RestartPolicy::recent_failures(TimePoint now) const {
  if (proven(now)) return 0;
  return std::count_if(failures_.begin(), failures_.end(),
                       [&](TimePoint at) { return now - at < settings_.start_limit_interval; });
}

}  // namespace svc::agent
