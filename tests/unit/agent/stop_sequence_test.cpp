#include "agent/core/stop_sequence.hpp"

#include <gtest/gtest.h>

#include <random>

#include "tests/support/moments.hpp"

namespace svc::agent {
namespace {

using namespace std::chrono_literals;
using svc::test::kStart;

TEST(StopSequence, NotBegun_NothingIsDue) {
  using enum StopAction;
  StopSequence stop;
  EXPECT_FALSE(stop.begun());
  EXPECT_EQ(stop.next(kStart, 3, 1), none);
  EXPECT_EQ(stop.next(kStart, 0, 0), none);
  EXPECT_EQ(stop.wake_at(), TimePoint::max());
}

/// One step: what is alive at a time, what is due then, and when to look again.
struct Step {
  Duration at;
  std::size_t alive, ranks;
  StopAction due;
  Duration wake;  ///< Duration::max(): never again
};

void play(Duration grace, std::initializer_list<Step> steps) {
  StopSequence stop;
  stop.begin(kStart, grace);
  EXPECT_TRUE(stop.begun());
  EXPECT_EQ(stop.wake_at(), kStart);
  for (const auto& step : steps) {
    EXPECT_EQ(stop.next(kStart + step.at, step.alive, step.ranks), step.due) << step.at.count();
    EXPECT_EQ(stop.wake_at(), step.wake == Duration::max() ? TimePoint::max() : kStart + step.wake) << step.at.count();
  }
}

constexpr Duration kNever = Duration::max();

TEST(StopSequence, Obedient_TermThenGone) {
  using enum StopAction;
  play(10s, {{0s, 1, 1, terminate, 10s}, {1s, 1, 1, none, 10s}, {2s, 0, 0, gone, kNever}, {3s, 0, 0, none, kNever}});
}

TEST(StopSequence, S3_IgnoresTerm_KilledAtTheEndOfTheGraceAndAgainUntilGone) {
  using enum StopAction;
  play(10s, {{0s, 2, 1, terminate, 10s},
             {9999ms, 2, 1, none, 10s},
             {10s, 2, 1, kill, 10050ms},
             {10010ms, 1, 1, none, 10050ms},
             {10050ms, 1, 1, kill, 10100ms},
             {10200ms, 1, 1, kill, 10250ms},
             {10210ms, 0, 0, gone, kNever}});
}

TEST(StopSequence, S3_OrphansAreKilledSoonAfterTheLastRank) {
  using enum StopAction;
  play(10s, {{0s, 4, 2, terminate, 10s},
             {1s, 3, 1, none, 10s},
             {2s, 2, 0, none, 2500ms},
             {2400ms, 1, 0, none, 2500ms},
             {2500ms, 1, 0, kill, 2550ms},
             {2510ms, 0, 0, gone, kNever}});
}

TEST(StopSequence, OrphansNearTheEndOfTheGrace_GetNoMoreThanThat) {
  using enum StopAction;
  play(1s, {{0s, 2, 1, terminate, 1s}, {900ms, 1, 0, none, 1s}, {1s, 1, 0, kill, 1050ms}});
}

TEST(StopSequence, OnlyOrphansFromTheStart_TermAndTheShortGrace) {
  using enum StopAction;
  play(10s, {{0s, 2, 0, terminate, 500ms}, {500ms, 2, 0, kill, 550ms}});
}

TEST(StopSequence, NothingAlive_GoneAtOnceAndOnce) {
  using enum StopAction;
  play(10s, {{0s, 0, 0, gone, kNever}, {0s, 0, 0, none, kNever}});
}

TEST(StopSequence, NoGrace_KillsWithoutTerm) {
  using enum StopAction;
  play(0s, {{0s, 1, 1, kill, 50ms}, {50ms, 1, 1, kill, 100ms}});
  play(-1s, {{0s, 1, 1, kill, 50ms}});
}

TEST(StopSequence, LookedAtLate_KillsWithoutTerm) {
  using enum StopAction;
  play(1s, {{5s, 1, 1, kill, 5050ms}});
}

TEST(StopSequence, EndlessGrace_IsOneButNotForOrphans) {
  using enum StopAction;
  play(Duration::max(), {{0s, 2, 1, terminate, TimePoint::max() - kStart},
                         {100h, 2, 1, none, TimePoint::max() - kStart},
                         {101h, 1, 0, none, 101h + 500ms}});
}

TEST(StopSequence, BegunAgain_OnlyEverSooner) {
  using enum StopAction;
  const struct {
    Duration again_at, grace, wake;
  } rows[] = {{1s, 2s, 3s}, {1s, 20s, 10s}, {1s, 0s, 1s}, {9s, 500ms, 9500ms}};
  for (const auto& row : rows) {
    StopSequence stop;
    stop.begin(kStart, 10s);
    EXPECT_EQ(stop.next(kStart, 1, 1), terminate);
    stop.begin(kStart + row.again_at, row.grace);
    EXPECT_EQ(stop.wake_at(), kStart + row.wake);
    EXPECT_EQ(stop.next(kStart + row.wake, 1, 1), kill) << "no second TERM";
  }
}

TEST(StopSequence, BegunAgainBeforeTheFirstLook_TermIsStillSentWhenThereIsTime) {
  using enum StopAction;
  StopSequence stop;
  stop.begin(kStart, 10s);
  stop.begin(kStart, 1s);
  EXPECT_EQ(stop.wake_at(), kStart);
  EXPECT_EQ(stop.next(kStart, 1, 1), terminate);
  EXPECT_EQ(stop.wake_at(), kStart + 1s);
}

TEST(StopSequence, BegunAgainWhileKillingOrAfter_GivesNoTime) {
  using enum StopAction;
  StopSequence stop;
  stop.begin(kStart, 0s);
  EXPECT_EQ(stop.next(kStart, 1, 1), kill);
  stop.begin(kStart + 10ms, 10s);
  EXPECT_EQ(stop.wake_at(), kStart + 50ms);
  EXPECT_EQ(stop.next(kStart + 20ms, 0, 0), gone);
  stop.begin(kStart + 30ms, 0s);
  EXPECT_EQ(stop.wake_at(), TimePoint::max());
  EXPECT_EQ(stop.next(kStart + 30ms, 1, 1), none);
}

TEST(StopSequence, Random_TermAtMostOnceAndGoneOnlyWhenNothingIsLeft) {
  using enum StopAction;
  std::mt19937_64 random(1);
  for (int round = 0; round < 2000; ++round) {
    StopSequence stop;
    TimePoint now = kStart;
    const Duration grace = std::chrono::milliseconds(random() % 3000);
    stop.begin(now, grace);
    std::size_t ranks = random() % 4;
    std::size_t orphans = random() % 4;
    int terms = 0;
    int kills = 0;
    for (;;) {
      const StopAction due = stop.next(now, ranks + orphans, ranks);
      if (due == terminate) {
        ++terms;
        EXPECT_EQ(kills, 0);
      }
      if (due == kill) {
        ++kills;
        (ranks > 0 && random() % 2 == 0 ? ranks : orphans) /= 2;
        if (kills > 10) ranks = orphans = 0;
      }
      if (due == gone) break;
      ASSERT_GT(stop.wake_at(), now);
      if (random() % 8 == 0 && ranks > 0) --ranks;
      if (random() % 8 == 0 && orphans > 0) --orphans;
      now = std::min(stop.wake_at(), now + std::chrono::milliseconds(1 + random() % 200));
      ASSERT_LT(now, kStart + grace + 2s);
    }
    EXPECT_EQ(ranks + orphans, 0U);
    EXPECT_LE(terms, 1);
  }
}

}  // namespace
}  // namespace svc::agent
