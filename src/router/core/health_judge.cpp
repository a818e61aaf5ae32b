#include "router/core/health_judge.hpp"

#include <algorithm>

namespace svc::router {
namespace {

double unit(std::uint64_t random) { return static_cast<double>(random >> 11U) * 0x1.0p-53; }

Duration scaled(Duration wait, double factor) {
  return std::chrono::duration_cast<Duration>(std::chrono::duration<double, std::nano>(wait) * factor);
}

}  // namespace

bool has_no_health_page(int status) {
  return status == 404 || status == 405 || status == 501 || status == 401 || status == 403;
}

Duration jittered(Duration wait, std::uint64_t random) { return scaled(wait, 0.9 + 0.2 * unit(random)); }

bool HealthJudge::probed(ProbeFinding finding, const HealthRules& rules) {
  const ProbeVerdict before = verdict_;
  if (finding == ProbeFinding::good) {
    bad_in_a_row_ = 0;
    ++good_in_a_row_;
    // One that was never out needs no proof of recovery.
    if (verdict_ == ProbeVerdict::unknown || good_in_a_row_ >= rules.healthy_after) verdict_ = ProbeVerdict::up;
  } else {
    good_in_a_row_ = 0;
    ++bad_in_a_row_;
    const bool out = finding == ProbeFinding::refused || bad_in_a_row_ >= rules.max_errors;
    if (out && verdict_ != ProbeVerdict::hung) verdict_ = ProbeVerdict::down;
  }
  return verdict_ != before;
}

void HealthJudge::declare_hung() {
  verdict_ = ProbeVerdict::hung;
  good_in_a_row_ = 0;
}

void HealthJudge::declare_down() {
  verdict_ = ProbeVerdict::down;
  good_in_a_row_ = 0;
}

void HealthJudge::forget() { *this = HealthJudge{}; }

// Far enough, and safe to add to any time.
constexpr Duration kNever = std::chrono::hours(24 * 365);

Duration HealthJudge::next_after(bool ejected, std::uint64_t random, const HealthRules& rules) {
  const bool out = ejected || verdict_ == ProbeVerdict::down || verdict_ == ProbeVerdict::hung;
  const bool never = rules.interval == Duration::zero();  // switched off: only what is out is looked at
  if (out || (bad_in_a_row_ > 0 && !never)) {
    return jittered(never ? rules.recovery_interval : std::min(rules.interval, rules.recovery_interval), random);
  }
  if (never) {
    return kNever;
  }
  if (!spread_) {
    spread_ = true;
    return scaled(rules.interval, std::max(0.1, unit(random)));
  }
  return jittered(rules.interval, random);
}

}  // namespace svc::router
