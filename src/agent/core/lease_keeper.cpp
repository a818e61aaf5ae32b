#include "agent/core/lease_keeper.hpp"

#include <algorithm>

namespace svc::agent {
namespace {

using namespace std::chrono_literals;

BackoffSettings retries_for(Duration interval) {
  const Duration longest = std::min<Duration>(interval, 30s);
  return {std::min<Duration>(500ms, longest), longest};
}

/// 0.9 to 1 of the interval.
Duration jittered(Duration interval, std::uint64_t random) {
  const double share = static_cast<double>(random >> 11U) * 0x1.0p-53;
  return interval -
         std::chrono::duration_cast<Duration>(std::chrono::duration<double, std::nano>(interval) * share / 10);
}

}  // namespace

LeaseKeeper::LeaseKeeper(Duration interval)
    : interval_(std::max(interval, kShortestInterval)), backoff_(retries_for(interval_)) {}

void LeaseKeeper::wish_anew(TimePoint now) {
  overtaken_ = busy_;
  due_ = now;
}

void LeaseKeeper::want(TimePoint now) {
  wish_ = Wish::registered;
  again_ = true;
  wish_anew(now);
}

void LeaseKeeper::want_gone(TimePoint now) {
  if (wish_ == Wish::gone) return;
  wish_ = Wish::gone;
  backoff_.reset();  // there is little time for this one
  wish_anew(now);
}

void LeaseKeeper::hurry(TimePoint now) {
  if (wish_ == Wish::registered && (enrolled_ || busy_)) wish_anew(now);
}

bool LeaseKeeper::settled_gone() const { return wish_ != Wish::registered && !busy_ && !maybe_there(); }

TimePoint LeaseKeeper::wake_at() const {
  const bool idle = wish_ == Wish::nothing || (wish_ == Wish::gone && !maybe_there());
  return busy_ || idle ? TimePoint::max() : due_;
}

LeaseCall LeaseKeeper::next(TimePoint now) {
  if (now < wake_at() || wake_at() == TimePoint::max()) return LeaseCall::none;
  busy_ = true;
  overtaken_ = false;
  asked_at_ = now;
  if (wish_ == Wish::gone) return LeaseCall::withdraw;
  if (taken_ || (enrolled_ && !again_)) return LeaseCall::heartbeat;
  again_ = false;
  return LeaseCall::enroll;
}

void LeaseKeeper::replied(TimePoint now, LeaseCall call, LeaseReply reply, std::uint64_t random) {
  if (!busy_) return;
  busy_ = false;
  switch (call) {
    case LeaseCall::enroll: take_enroll_reply(reply); break;
    case LeaseCall::heartbeat: take_heartbeat_reply(reply); break;
    case LeaseCall::withdraw: take_withdraw_reply(reply); break;
    case LeaseCall::none: break;
  }
  schedule(now, call, reply, random);
}

void LeaseKeeper::take_enroll_reply(LeaseReply reply) {
  if (reply == LeaseReply::accepted) {
    enrolled_ = true;
    return;
  }
  again_ = true;  // whatever is registered is still what it was
  if (reply == LeaseReply::failed) maybe_enrolled_ = true;
  if (reply == LeaseReply::taken) lose(true);
}

void LeaseKeeper::take_heartbeat_reply(LeaseReply reply) {
  if (reply == LeaseReply::unknown) lose(false);
  // It may be a registration of our own whose answer was lost: another one from here says whose it is.
  if (reply == LeaseReply::taken) again_ = true;
  if (reply == LeaseReply::accepted && taken_) {
    taken_ = false;
    enrolled_ = true;
  }
}

void LeaseKeeper::take_withdraw_reply(LeaseReply reply) {
  const bool gone = reply == LeaseReply::accepted || reply == LeaseReply::unknown || reply == LeaseReply::taken;
  if (gone) lose(reply == LeaseReply::taken);
}

void LeaseKeeper::lose(bool to_somebody_else) {
  enrolled_ = maybe_enrolled_ = false;
  taken_ = to_somebody_else;
}

void LeaseKeeper::schedule(TimePoint now, LeaseCall call, LeaseReply reply, std::uint64_t random) {
  // "Not here" is an answer to a heartbeat and to a withdrawal; to an enroll it means that this is no registry.
  const bool answered = reply == LeaseReply::accepted || reply == LeaseReply::taken ||
                        (reply == LeaseReply::unknown && call != LeaseCall::enroll);
  if (answered) {
    backoff_.reset();
    failures_ = 0;
    const bool lost = call == LeaseCall::heartbeat && !taken_ && reply != LeaseReply::accepted;
    due_ = lost ? now : std::max(now, asked_at_ + jittered(interval_, random));
  } else {
    ++failures_;
    due_ = now + backoff_.next(random);
  }
  if (overtaken_) due_ = now;
}

}  // namespace svc::agent
