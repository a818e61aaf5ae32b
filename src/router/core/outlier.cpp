#include "router/core/outlier.hpp"

#include <algorithm>

#include "router/core/retry_policy.hpp"

namespace svc::router {

TimePoint Outlier::refused(TimePoint now, const OutlierSettings& settings, std::uint64_t random) {
  out_for_refusal_ = true;
  // Many requests are refused together when an instance dies: that is one refusal, not sixty doublings.
  if (now < refused_until_) return std::max(refused_until_, out_for_fails_until_);
  constexpr unsigned kMostDoublings = 20;
  const unsigned doublings = std::min(refused_in_a_row_++, kMostDoublings);
  Duration out = std::min(settings.refused_first, settings.refused_most);
  for (unsigned i = 0; i < doublings && out < settings.refused_most; ++i) {
    out = out > settings.refused_most / 2 ? settings.refused_most : out * 2;
  }
  constexpr std::int64_t kSteps = 1024;
  const auto step = static_cast<std::int64_t>(random % static_cast<std::uint64_t>(kSteps));
  refused_until_ = now + (out - out / 10 / kSteps * step);
  return std::max(refused_until_, out_for_fails_until_);
}

TimePoint Outlier::failed(FailureReason reason, TimePoint now, std::int64_t max_fails, Duration fail_timeout,
                          const OutlierSettings& settings, std::uint64_t random) {
  if (max_fails <= 0 || !blames_upstream(reason)) return TimePoint{};
  if (reason == FailureReason::upstream_connect_failed) return refused(now, settings, random);

  if (fails_ == 0 || now - window_began_ > fail_timeout) {
    window_began_ = now;
    fails_ = 0;
  }
  ++fails_;
  const bool failed_trial = on_trial_ && now >= out_for_fails_until_;
  if (fails_ < max_fails && !failed_trial) return TimePoint{};
  on_trial_ = true;
  out_for_fails_until_ = now + fail_timeout;
  return std::max(out_for_fails_until_, refused_until_);
}

void Outlier::succeeded() {
  refused_in_a_row_ = 0;
  out_for_refusal_ = false;
  if (!on_trial_) return;
  on_trial_ = false;
  fails_ = 0;
}

bool Outlier::probed_good() {
  // Failed requests weigh more than good probes: an instance may answer its health page and nothing else.
  if (!out_for_refusal_) return false;
  fails_ = 0;
  out_for_refusal_ = on_trial_ = false;
  refused_until_ = out_for_fails_until_ = TimePoint{};
  return true;
}

}  // namespace svc::router
