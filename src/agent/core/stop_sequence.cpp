#include "agent/core/stop_sequence.hpp"

#include <algorithm>

#include "common/core/deadline.hpp"

namespace svc::agent {

void StopSequence::begin(TimePoint now, Duration grace) {
  if (phase_ == Phase::over) return;
  kill_at_ = std::min(kill_at_, Deadline::after(now, grace).when());
  if (phase_ == Phase::idle) {
    phase_ = Phase::asked;
    wake_at_ = now;
  } else {
    wake_at_ = std::min(wake_at_, kill_at_);
  }
}

StopAction StopSequence::next(TimePoint now, std::size_t alive, std::size_t ranks_alive) {
  if (phase_ == Phase::idle || phase_ == Phase::over) return StopAction::none;
  if (alive == 0) {
    phase_ = Phase::over;
    wake_at_ = TimePoint::max();
    return StopAction::gone;
  }
  // Only those that a rank left behind remain: they have had their TERM with it, or will never listen to one.
  if (ranks_alive == 0) kill_at_ = std::min(kill_at_, now + kOrphanGrace);
  wake_at_ = kill_at_;
  if (now >= kill_at_) {
    phase_ = Phase::killing;
    wake_at_ = kill_at_ = now + kKillAgain;
    return StopAction::kill;
  }
  if (phase_ != Phase::asked) return StopAction::none;
  phase_ = Phase::terminating;
  return StopAction::terminate;
}

}  // namespace svc::agent
