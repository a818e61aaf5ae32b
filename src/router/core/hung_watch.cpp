#include "router/core/hung_watch.hpp"

#include <algorithm>

namespace svc::router {
namespace {

constexpr unsigned kProof = 2;

}  // namespace

bool HungWatch::look(TimePoint now, std::uint32_t in_flight, TimePoint last_heard, ProbeVerdict verdict,
                     const HungRules& rules) {
  if (asking_ || rules.timeout <= Duration::zero() || in_flight == 0) return false;
  // One that is down gets nothing new, but what it was given before may wait there for ever.
  if (verdict == ProbeVerdict::hung) return false;
  if (now - std::max(last_heard, known_alive_) < rules.silence) return false;
  asking_ = true;
  unanswered_ = 0;
  asked_ = now;
  return true;
}

HungWatch::Step HungWatch::probed(TimePoint now, HungAnswer answer, std::uint32_t in_flight, TimePoint last_heard) {
  const bool quiet = in_flight > 0 && last_heard <= asked_;
  if (quiet && (answer == HungAnswer::refused || answer == HungAnswer::unwell)) {
    asking_ = false;
    return Step::hung;
  }
  if (quiet && answer == HungAnswer::timed_out) {
    if (++unanswered_ < kProof) return Step::ask_again;
    asking_ = false;
    return Step::hung;
  }
  asking_ = false;
  known_alive_ = now;
  return Step::alive;
}

}  // namespace svc::router
