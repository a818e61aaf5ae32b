#include "common/io/timer_wheel.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "tests/support/moments.hpp"

namespace svc {
namespace {

using namespace std::chrono_literals;

class Recorder {
 public:
  void fire(TimePoint at) { fired.push_back(at); }
  std::vector<TimePoint> fired;
  MemberTimer<Recorder, &Recorder::fire> timer{*this};
};

using test::kStart;

TEST(TimerWheel, Set_DeadlinePasses_FiresOnceAndNotEarly) {
  TimerWheel wheel(kStart);
  Recorder recorder;
  wheel.set(recorder.timer, kStart + 1s);
  for (Duration at = 0ms; at < 3s; at += 10ms) {
    wheel.advance(kStart + at);
    if (at < 1s) {
      ASSERT_TRUE(recorder.fired.empty()) << at.count();
    }
  }
  ASSERT_EQ(recorder.fired.size(), 1U);
  EXPECT_LE(recorder.fired[0], kStart + 1s + 2 * TimerWheel::kSlot + 10ms);
  EXPECT_FALSE(wheel.next_slot().has_value());
}

TEST(TimerWheel, Set_LaterBeyondTheWheel_AdvanceEndsAndFiresInTheEnd) {
  TimerWheel wheel(kStart);
  Recorder recorder;
  wheel.set(recorder.timer, kStart + 5s);
  wheel.set(recorder.timer, kStart + 300s);
  wheel.advance(kStart + 6s);
  EXPECT_TRUE(recorder.fired.empty());
  for (Duration at = 6s; at < 302s; at += 100ms) {
    wheel.advance(kStart + at);
  }
  ASSERT_EQ(recorder.fired.size(), 1U);
  EXPECT_GE(recorder.fired[0], kStart + 300s);
}

TEST(TimerWheel, Set_Earlier_FiresAtTheEarlierTime) {
  TimerWheel wheel(kStart);
  Recorder recorder;
  wheel.set(recorder.timer, kStart + 60s);
  wheel.set(recorder.timer, kStart + 1s);
  wheel.advance(kStart + 1200ms);
  EXPECT_EQ(recorder.fired.size(), 1U);
}

TEST(TimerWheel, Advance_ByHours_FiresEverythingDueOnce) {
  TimerWheel wheel(kStart);
  std::vector<std::unique_ptr<Recorder>> recorders;
  for (int i = 0; i < 500; ++i) {
    recorders.push_back(std::make_unique<Recorder>());
    wheel.set(recorders.back()->timer, kStart + std::chrono::seconds(i));
  }
  wheel.advance(kStart + 5h);
  for (const auto& recorder : recorders) {
    EXPECT_EQ(recorder->fired.size(), 1U);
  }
}

TEST(TimerWheel, Clear_BeforeTheDeadline_NeverFires) {
  TimerWheel wheel(kStart);
  Recorder recorder;
  wheel.set(recorder.timer, kStart + 1s);
  wheel.clear(recorder.timer);
  wheel.advance(kStart + 10s);
  EXPECT_TRUE(recorder.fired.empty());
}

struct Destroyer {
  void fire(TimePoint) { victim.reset(); }
  std::unique_ptr<Recorder> victim = std::make_unique<Recorder>();
  MemberTimer<Destroyer, &Destroyer::fire> timer{*this};
};

TEST(TimerWheel, OnTimer_DestroysAnotherOfItsSlot_IsSafe) {
  TimerWheel wheel(kStart);
  Destroyer first, second;
  wheel.set(first.timer, kStart + 1s);
  wheel.set(first.victim->timer, kStart + 1s);
  wheel.set(second.victim->timer, kStart + 1s);
  wheel.set(second.timer, kStart + 1s);
  wheel.advance(kStart + 2s);
  EXPECT_EQ(first.victim, nullptr);
  EXPECT_EQ(second.victim, nullptr);
}

struct Rearmer {
  void fire(TimePoint now) {
    if (++count < 3) {
      wheel->set(timer, now + 100s);
    }
  }
  TimerWheel* wheel = nullptr;
  int count = 0;
  MemberTimer<Rearmer, &Rearmer::fire> timer{*this};
};

TEST(TimerWheel, OnTimer_SetsAFarDeadline_AdvanceEnds) {
  TimerWheel wheel(kStart);
  Rearmer rearmer;
  rearmer.wheel = &wheel;
  wheel.set(rearmer.timer, kStart + 1s);
  for (Duration at = 0s; at < 400s; at += 1s) {
    wheel.advance(kStart + at);
  }
  EXPECT_EQ(rearmer.count, 3);
}

}  // namespace
}  // namespace svc
