#include "agent/core/lease_keeper.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "tests/support/moments.hpp"

namespace svc::agent {
namespace {

using namespace std::chrono_literals;
using enum LeaseCall;
using enum LeaseReply;

using svc::test::kStart;
constexpr std::uint64_t kLatest = 0;                    ///< no jitter; retries at once
constexpr std::uint64_t kEarliest = ~std::uint64_t{0};  ///< all of the jitter; retries as late as may be

/// A keeper and its clock.
struct KeeperDriver {
  LeaseKeeper keeper{10s};
  TimePoint now = kStart;

  /// The call that is due at this moment gets this reply.
  LeaseCall answer(LeaseReply reply, std::uint64_t random = kLatest) {
    const LeaseCall call = keeper.next(now);
    if (call != none) keeper.replied(now, call, reply, random);
    return call;
  }
  void enroll() {
    keeper.want(now);
    answer(accepted);
  }
  LeaseCall answer_at_wake(LeaseReply reply, std::uint64_t random = kLatest) {
    now = std::max(now, keeper.wake_at());
    return answer(reply, random);
  }
  Duration wait() const { return keeper.wake_at() == TimePoint::max() ? Duration::max() : keeper.wake_at() - now; }
};

TEST(LeaseKeeper, NothingWished_NothingIsDue) {
  KeeperDriver d;
  EXPECT_EQ(d.keeper.next(kStart), none);
  EXPECT_EQ(d.keeper.wake_at(), TimePoint::max());
  EXPECT_TRUE(d.keeper.settled_gone());
  d.keeper.hurry(kStart);
  d.keeper.want_gone(kStart);
  EXPECT_EQ(d.keeper.next(kStart + 1h), none) << "a name that never was needs no withdrawal";
  EXPECT_TRUE(d.keeper.settled_gone());
}

TEST(LeaseKeeper, Wanted_EnrollsAtOnceThenHeartbeats) {
  KeeperDriver d;
  d.keeper.want(d.now);
  EXPECT_FALSE(d.keeper.settled_gone());
  EXPECT_EQ(d.keeper.wake_at(), d.now);
  EXPECT_EQ(d.answer(accepted), enroll);
  EXPECT_TRUE(d.keeper.enrolled());
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(d.wait(), 10s);
    EXPECT_EQ(d.keeper.next(d.keeper.wake_at() - 1ns), none);
    EXPECT_EQ(d.answer_at_wake(accepted), heartbeat);
  }
}

TEST(LeaseKeeper, Jitter_IsUpToATenthEarly) {
  KeeperDriver d;
  d.keeper.want(d.now);
  d.answer(accepted, kEarliest);
  EXPECT_GE(d.wait(), 9s);
  EXPECT_LT(d.wait(), 9s + 1ms);
}

TEST(LeaseKeeper, SlowAnswers_DoNotMakeHeartbeatsRarer) {
  KeeperDriver d;
  d.enroll();
  d.now = d.keeper.wake_at();
  ASSERT_EQ(d.keeper.next(d.now), heartbeat);
  d.now += 4s;
  d.keeper.replied(d.now, heartbeat, accepted, kLatest);
  EXPECT_EQ(d.wait(), 6s);
  d.now = d.keeper.wake_at();
  ASSERT_EQ(d.keeper.next(d.now), heartbeat);
  d.now += 1min;
  d.keeper.replied(d.now, heartbeat, accepted, kLatest);
  EXPECT_EQ(d.wait(), 0s);
}

TEST(LeaseKeeper, OneCallAtATime) {
  KeeperDriver d;
  d.keeper.want(d.now);
  ASSERT_EQ(d.keeper.next(d.now), enroll);
  EXPECT_EQ(d.keeper.next(d.now), none);
  EXPECT_EQ(d.keeper.next(d.now + 1h), none);
  EXPECT_EQ(d.keeper.wake_at(), TimePoint::max());
}

TEST(LeaseKeeper, HeartbeatUnknown_EnrollsAgainAtOnce) {
  KeeperDriver d;
  d.enroll();
  EXPECT_EQ(d.answer_at_wake(unknown, kEarliest), heartbeat);
  EXPECT_FALSE(d.keeper.enrolled());
  EXPECT_EQ(d.wait(), 0s);
  EXPECT_EQ(d.answer(accepted), enroll);
  EXPECT_TRUE(d.keeper.enrolled());
}

TEST(LeaseKeeper, ARegistryThatForgetsEverything_IsNotFlooded) {
  KeeperDriver d;
  d.enroll();
  int calls = 0;
  for (; d.now < kStart + 10min; ++calls) {
    const LeaseCall call = d.keeper.next(d.now);
    if (call != none) d.keeper.replied(d.now, call, call == enroll ? accepted : unknown, kLatest);
    if (d.keeper.wake_at() > d.now) d.now = d.keeper.wake_at();
  }
  EXPECT_LE(calls, 2 * 61);
}

TEST(LeaseKeeper, Failures_AreRetriedForEverWithBackoff) {
  for (const auto reply : {failed, refused, unknown}) {
    KeeperDriver d;
    d.keeper.want(d.now);
    unsigned failures = 0;
    for (const auto expected : {500ms, 1000ms, 2000ms, 4000ms, 8000ms, 10000ms, 10000ms}) {
      EXPECT_EQ(d.answer_at_wake(reply, kEarliest), enroll);
      EXPECT_EQ(std::chrono::round<std::chrono::milliseconds>(d.wait()), expected);
      EXPECT_EQ(d.keeper.failures_in_a_row(), ++failures);
    }
    EXPECT_EQ(d.answer_at_wake(accepted), enroll);
    EXPECT_EQ(d.keeper.failures_in_a_row(), 0U);
    d.answer_at_wake(failed, kEarliest);
    EXPECT_EQ(std::chrono::round<std::chrono::milliseconds>(d.wait()), 500ms) << "from the beginning again";
  }
}

TEST(LeaseKeeper, Retries_NeverFurtherApartThanTheIntervalOrThirtySeconds) {
  for (const auto& [interval, longest] : {std::pair<Duration, Duration>{200ms, 200ms}, {1h, 30s}}) {
    KeeperDriver d{LeaseKeeper(interval), kStart};
    d.keeper.want(d.now);
    for (int i = 0; i < 20; ++i) {
      d.answer_at_wake(failed, kEarliest);
      EXPECT_LE(d.wait(), longest);
    }
    EXPECT_GE(d.wait(), longest - 1ms);
  }
}

TEST(LeaseKeeper, IntervalOfNothing_DoesNotSpin) {
  KeeperDriver d{LeaseKeeper(0s), kStart};
  d.enroll();
  EXPECT_EQ(d.wait(), LeaseKeeper::kShortestInterval);
}

TEST(LeaseKeeper, FailedHeartbeat_IsRetriedAsOne) {
  for (const auto reply : {failed, refused}) {
    KeeperDriver d;
    d.enroll();
    EXPECT_EQ(d.answer_at_wake(reply, kEarliest), heartbeat);
    EXPECT_TRUE(d.keeper.enrolled()) << "it may well have arrived";
    EXPECT_LE(d.wait(), 500ms);
    EXPECT_EQ(d.answer_at_wake(accepted), heartbeat);
  }
}

TEST(LeaseKeeper, WantAgain_EnrollsAgain) {
  KeeperDriver d;
  d.enroll();
  d.now += 1s;
  d.keeper.want(d.now);
  EXPECT_EQ(d.answer(accepted), enroll);
  EXPECT_EQ(d.answer_at_wake(accepted), heartbeat) << "once is enough";
}

TEST(LeaseKeeper, WantAgain_UntilItIsTaken) {
  for (const auto reply : {failed, refused}) {
    KeeperDriver d;
    d.enroll();
    d.keeper.want(d.now);
    EXPECT_EQ(d.answer(reply, kEarliest), enroll);
    EXPECT_EQ(d.answer_at_wake(accepted), enroll);
    EXPECT_EQ(d.answer_at_wake(accepted), heartbeat);
  }
}

TEST(LeaseKeeper, Hurry_HeartbeatsNow) {
  KeeperDriver d;
  d.enroll();
  d.now += 1s;
  d.keeper.hurry(d.now);
  EXPECT_EQ(d.answer(accepted), heartbeat);
  EXPECT_EQ(d.wait(), 10s) << "the next one is counted from it";
}

TEST(LeaseKeeper, HurryBeforeTheFirstEnroll_KeepsItsBackoff) {
  KeeperDriver d;
  d.keeper.want(d.now);
  d.answer(failed, kEarliest);
  const TimePoint retry = d.keeper.wake_at();
  d.keeper.hurry(d.now);
  EXPECT_EQ(d.keeper.wake_at(), retry) << "the enroll will tell the status";
}

TEST(LeaseKeeper, Withdraw_UntilTheRegistryHasAnswered) {
  for (const auto end : {accepted, unknown}) {
    KeeperDriver d;
    d.enroll();
    d.keeper.want_gone(d.now);
    EXPECT_FALSE(d.keeper.settled_gone());
    EXPECT_EQ(d.answer(failed, kEarliest), withdraw);
    EXPECT_FALSE(d.keeper.settled_gone());
    EXPECT_LE(d.wait(), 500ms);
    EXPECT_EQ(d.answer_at_wake(end), withdraw);
    EXPECT_TRUE(d.keeper.settled_gone());
    EXPECT_FALSE(d.keeper.enrolled());
    EXPECT_EQ(d.keeper.wake_at(), TimePoint::max());
    EXPECT_EQ(d.keeper.next(d.now + 1h), none);
  }
}

TEST(LeaseKeeper, WithdrawAfterALongOutage_StartsWithShortWaits) {
  KeeperDriver d;
  d.enroll();
  for (int i = 0; i < 20; ++i) d.answer_at_wake(failed, kEarliest);
  d.keeper.want_gone(d.now);
  EXPECT_EQ(d.answer(failed, kEarliest), withdraw);
  EXPECT_LE(d.wait(), 500ms);
  EXPECT_EQ(d.keeper.failures_in_a_row(), 21U);
}

TEST(LeaseKeeper, WantGoneAgain_KeepsItsBackoff) {
  KeeperDriver d;
  d.enroll();
  d.keeper.want_gone(d.now);
  for (int i = 0; i < 4; ++i) d.answer_at_wake(failed, kEarliest);
  const TimePoint retry = d.keeper.wake_at();
  d.keeper.want_gone(d.now);
  EXPECT_EQ(d.keeper.wake_at(), retry);
}

TEST(LeaseKeeper, EnrollWhoseAnswerWasLost_IsWithdrawnAllTheSame) {
  KeeperDriver d;
  d.keeper.want(d.now);
  d.answer(failed, kEarliest);
  EXPECT_FALSE(d.keeper.enrolled());
  d.keeper.want_gone(d.now);
  EXPECT_FALSE(d.keeper.settled_gone());
  EXPECT_EQ(d.answer(accepted), withdraw);
  EXPECT_TRUE(d.keeper.settled_gone());
}

TEST(LeaseKeeper, NameOfAnEarlierOwner_IsWithdrawnThoughNeverEnrolled) {
  KeeperDriver d;
  d.keeper.assume_enrolled();
  EXPECT_EQ(d.keeper.next(d.now + 1h), none) << "until it is wished";
  d.keeper.want_gone(d.now);
  EXPECT_FALSE(d.keeper.settled_gone());
  EXPECT_EQ(d.answer(unknown), withdraw);
  EXPECT_TRUE(d.keeper.settled_gone());
}

TEST(LeaseKeeper, EnrollThatWasRefused_LeavesNothingToWithdraw) {
  KeeperDriver d;
  d.keeper.want(d.now);
  d.answer(refused, kEarliest);
  d.keeper.want_gone(d.now);
  EXPECT_TRUE(d.keeper.settled_gone());
  EXPECT_EQ(d.keeper.next(d.now + 1h), none);
}

/// What is wished while a call is under way, how that call ends, and what comes next, at once.
struct Overtaken {
  LeaseCall under_way;
  void (LeaseKeeper::*wish)(TimePoint);
  LeaseReply reply;
  LeaseCall then;
};

TEST(LeaseKeeper, WishWhileACallIsUnderWay_IsDueWhenItEnds) {
  const Overtaken rows[] = {
      {enroll, &LeaseKeeper::want, accepted, enroll},         {enroll, &LeaseKeeper::want, failed, enroll},
      {enroll, &LeaseKeeper::want, refused, enroll},          {enroll, &LeaseKeeper::hurry, accepted, heartbeat},
      {enroll, &LeaseKeeper::hurry, failed, enroll},          {enroll, &LeaseKeeper::want_gone, accepted, withdraw},
      {enroll, &LeaseKeeper::want_gone, failed, withdraw},    {enroll, &LeaseKeeper::want_gone, refused, none},
      {heartbeat, &LeaseKeeper::want, accepted, enroll},      {heartbeat, &LeaseKeeper::want, unknown, enroll},
      {heartbeat, &LeaseKeeper::hurry, accepted, heartbeat},  {heartbeat, &LeaseKeeper::hurry, failed, heartbeat},
      {heartbeat, &LeaseKeeper::hurry, unknown, enroll},      {heartbeat, &LeaseKeeper::want_gone, accepted, withdraw},
      {heartbeat, &LeaseKeeper::want_gone, failed, withdraw}, {heartbeat, &LeaseKeeper::want_gone, unknown, none},
      {withdraw, &LeaseKeeper::want, accepted, enroll},       {withdraw, &LeaseKeeper::want, unknown, enroll},
      {withdraw, &LeaseKeeper::want, failed, enroll},         {withdraw, &LeaseKeeper::want, refused, enroll},
  };
  int row_number = 0;
  for (const auto& row : rows) {
    SCOPED_TRACE(row_number++);
    KeeperDriver d;
    d.keeper.want(d.now);
    if (row.under_way != enroll) {
      d.answer(accepted);
      d.now = d.keeper.wake_at();
    }
    if (row.under_way == withdraw) d.keeper.want_gone(d.now);
    ASSERT_EQ(d.keeper.next(d.now), row.under_way);
    (d.keeper.*row.wish)(d.now);
    EXPECT_EQ(d.keeper.next(d.now), none) << "one at a time";
    EXPECT_FALSE(d.keeper.settled_gone()) << "a call is under way";
    d.now += 1s;
    d.keeper.replied(d.now, row.under_way, row.reply, kEarliest);
    EXPECT_EQ(d.keeper.next(d.now), row.then);
    EXPECT_EQ(d.keeper.settled_gone(), row.then == none);
  }
}

TEST(LeaseKeeper, WantAfterAWithdrawalWhoseAnswerWasLost_EnrollsInsteadOfVouching) {
  KeeperDriver d;
  d.enroll();
  d.keeper.want_gone(d.now);
  d.answer(failed, kEarliest);
  d.keeper.want(d.now);
  EXPECT_EQ(d.answer(accepted), enroll);
}

TEST(LeaseKeeper, ReplyToNoCall_IsIgnored) {
  KeeperDriver d;
  d.enroll();
  const TimePoint due = d.keeper.wake_at();
  d.keeper.replied(d.now, heartbeat, unknown, kLatest);
  EXPECT_TRUE(d.keeper.enrolled());
  EXPECT_EQ(d.keeper.wake_at(), due);
}

/// A registry that is unreachable, refuses, forgets and loses messages either way; and an agent that changes its mind.
class RandomRegistry {
 public:
  explicit RandomRegistry(std::uint64_t seed) : random_(seed) {}

  void step(bool reliable) {
    if (!reliable && one_in(40)) change_mind();
    if (!reliable && one_in(60)) there_ = false;  // restarted, or the entry was removed
    const LeaseCall call = keeper_.next(now_);
    if (call == none) {
      // Sometimes before it is time, for nothing.
      const Duration ahead = std::min<Duration>(keeper_.wake_at() - now_, 20s);
      now_ += one_in(10) ? ahead / 2 : ahead;
      return;
    }
    note(call);
    const LeaseReply reply = carry_out(call, reliable);
    now_ += std::chrono::milliseconds(random_() % 100);
    ASSERT_EQ(keeper_.next(now_), none) << "a second call in flight";
    if (!reliable && one_in(20)) change_mind();
    keeper_.replied(now_, call, reply, random_());
  }
  void settle() {
    for (int i = 0; i < 200; ++i) step(true);
    EXPECT_EQ(there_, wanted_);
    EXPECT_EQ(keeper_.enrolled(), wanted_);
    EXPECT_EQ(keeper_.settled_gone(), !wanted_);
    EXPECT_EQ(wanted_ ? keeper_.failures_in_a_row() : 0U, 0U);
    EXPECT_EQ(registered_version_, wanted_ ? version_ : registered_version_) << "an old registration is left";
  }

 private:
  bool one_in(std::uint64_t n) { return random_() % n == 0; }
  void change_mind() {
    nudged_ = true;
    switch (random_() % 4) {
      case 0: keeper_.hurry(now_); break;
      case 1:
        keeper_.want_gone(now_);
        wanted_ = false;
        break;
      default:
        keeper_.want(now_);
        wanted_ = true;
        ++version_;
        break;
    }
  }
  void note(LeaseCall call) {
    ASSERT_EQ(call != withdraw, wanted_) << "never vouches for what is not wanted";
    if (call == heartbeat) {
      const TimePoint last = nudged_ ? now_ - 9s : last_accepted_heartbeat_.value_or(now_ - 9s);
      ASSERT_GE(now_ - last, 9s) << "too many heartbeats";
    }
    nudged_ = false;
  }
  LeaseReply carry_out(LeaseCall call, bool reliable) {
    const bool known = there_;
    const auto fate = reliable ? 99 : random_() % 100;
    last_accepted_heartbeat_.reset();
    if (fate < 10) return failed;   // never arrived
    if (fate < 15) return refused;  // and did nothing
    if (call == enroll) {
      there_ = true;
      registered_version_ = version_;
    }
    if (call == withdraw) there_ = false;
    if (fate < 25) return failed;  // the answer was lost
    if (call != enroll && !known) return unknown;
    if (call == heartbeat) last_accepted_heartbeat_ = now_;
    return accepted;
  }

  std::mt19937_64 random_;
  LeaseKeeper keeper_{10s};
  TimePoint now_ = kStart;
  bool wanted_ = false;
  bool there_ = false;
  bool nudged_ = false;
  int version_ = 0;
  int registered_version_ = 0;
  std::optional<TimePoint> last_accepted_heartbeat_;
};

TEST(LeaseKeeper, RandomRegistry_AlwaysConvergesToTheWish) {
  for (std::uint64_t seed = 1; seed <= 500; ++seed) {
    SCOPED_TRACE(seed);
    RandomRegistry registry(seed);
    for (int i = 0; i < 1000 && !HasFatalFailure(); ++i) registry.step(false);
    registry.settle();
    ASSERT_FALSE(HasFailure());
  }
}

// -- somebody else has the name ---------------------------------------------------------------------------------------------

TEST(LeaseKeeper, HeartbeatTaken_AsksWithOneRegistrationWhoseItIs) {
  KeeperDriver d;
  d.enroll();
  EXPECT_EQ(d.answer_at_wake(taken), heartbeat);
  EXPECT_EQ(d.wait(), 0s);
  EXPECT_EQ(d.answer(accepted), enroll) << "it was our own";
  EXPECT_TRUE(d.keeper.enrolled());
  EXPECT_FALSE(d.keeper.taken());
  EXPECT_EQ(d.wait(), 10s);
}

TEST(LeaseKeeper, NameTaken_IsLeftAloneAndRegisteredOnceItIsFree) {
  KeeperDriver d;
  d.enroll();
  d.answer_at_wake(taken);
  EXPECT_EQ(d.answer(taken), enroll);
  EXPECT_FALSE(d.keeper.enrolled());
  EXPECT_TRUE(d.keeper.taken());
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(d.wait(), 10s) << "no hurry";
    EXPECT_EQ(d.answer_at_wake(taken), heartbeat);
  }
  d.keeper.want(d.now);
  EXPECT_EQ(d.answer(taken), heartbeat) << "a change is no reason to take it back";
  EXPECT_EQ(d.keeper.failures_in_a_row(), 0U);
  EXPECT_EQ(d.answer_at_wake(failed), heartbeat);
  EXPECT_EQ(d.answer_at_wake(unknown), heartbeat);
  EXPECT_EQ(d.answer(accepted), enroll);
  EXPECT_TRUE(d.keeper.enrolled());
  EXPECT_FALSE(d.keeper.taken());
}

TEST(LeaseKeeper, NameTaken_IsNotWithdrawn) {
  KeeperDriver d;
  d.enroll();
  d.answer_at_wake(taken);
  d.answer(taken);
  d.keeper.want_gone(d.now);
  EXPECT_TRUE(d.keeper.settled_gone());
  EXPECT_EQ(d.keeper.next(d.now + 1h), none);
}

TEST(LeaseKeeper, WithdrawalOfANameThatWasTaken_CountsAsGone) {
  KeeperDriver d;
  d.enroll();
  d.keeper.want_gone(d.now);
  EXPECT_EQ(d.answer(taken), withdraw);
  EXPECT_TRUE(d.keeper.settled_gone());
  EXPECT_FALSE(d.keeper.enrolled());
}

}  // namespace
}  // namespace svc::agent
