// Whole stories of an instance. Single events are in instance_machine_table_test.cpp.
#include "agent/core/instance_machine.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <random>

#include "tests/unit/agent/instance_driver.hpp"

namespace svc::agent {
namespace {

using namespace test;

ExitKind last_kind(const Driver& d) { return d.machine.last_exit().value_or(outcome(ExitKind::lost)).kind; }

TEST(InstanceMachine, Start_FromThePortToReady) {
  Driver d;
  EXPECT_EQ(d.start(), "announce check_port");
  d.now += 1ms;
  EXPECT_EQ(d.port_free(), "launch");
  EXPECT_EQ(d.machine.since_start(), d.now);
  d.now += 3ms;
  EXPECT_EQ(d.launched(), "");
  EXPECT_EQ(d.machine.since_start(), d.now);
  d.now += 40s;
  EXPECT_EQ(d.became_ready(), "announce watch");
  EXPECT_TRUE(d.machine.ready());
  EXPECT_EQ(d.machine.since_ready(), d.now);
  EXPECT_EQ(d.machine.restarts(), 0);
  EXPECT_FALSE(d.machine.last_exit().has_value());
}

TEST(InstanceMachine, PortTaken_LookedAtAgainAndNoStartIsSpent) {
  Driver d;
  d.start();
  for (int i = 0; i < 1000; ++i) {
    EXPECT_EQ(d.port_busy(), i == 0 ? "announce" : "");
    EXPECT_EQ(d.machine.wake_at(), d.now + 2s);
    EXPECT_EQ(d.tick_at_wake(), "check_port");
    EXPECT_EQ(d.machine.wake_at(), TimePoint::max()) << "while the answer is waited for";
  }
  EXPECT_EQ(d.machine.restarts(), 0);
  EXPECT_EQ(d.port_free(), "announce launch");
}

TEST(InstanceMachine, PortTakenAfterAFailure_DoesNotCountAgain) {
  Driver d;
  d.to_running();
  d.exited();
  d.gone();
  d.tick_at_wake();
  d.port_busy();
  EXPECT_EQ(d.state(), "port_taken");
  EXPECT_EQ(d.machine.restarts(), 1);
  d.tick_at_wake();
  EXPECT_EQ(d.port_free(), "announce launch");
  EXPECT_EQ(d.machine.restarts(), 1);
}

TEST(InstanceMachine, LaunchFailed_IsAFailureOfTheStart) {
  Driver d;
  d.start();
  d.port_free();
  EXPECT_EQ(d.exited(outcome(ExitKind::start_failed, 2, {"no such program"})), "announce stop(10s)");
  EXPECT_EQ(d.machine.wake_at(), TimePoint::max()) << "the wait begins when all are gone";
  d.now += 3s;
  EXPECT_EQ(d.gone(), "announce");
  EXPECT_EQ(d.machine.wake_at(), d.now + 5s);
  EXPECT_EQ(last_kind(d), ExitKind::start_failed);
  EXPECT_EQ(d.machine.last_exit()->value, 2);
  EXPECT_EQ(d.machine.last_exit()->last_lines, std::vector<std::string>{"no such program"});
}

TEST(InstanceMachine, StartTimeout_EndsTheStartAndKeepsItsLastLines) {
  Driver d;
  d.start();
  d.port_free();
  d.now += 60s - 1ns;
  EXPECT_EQ(d.tick(), "");
  d.now += 1ns;
  EXPECT_EQ(d.tick(), "announce stop(10s)");
  EXPECT_EQ(d.became_ready(), "") << "too late";
  EXPECT_EQ(d.exited(outcome(ExitKind::signalled, 15, {"loading layer 7"})), "");
  EXPECT_EQ(d.gone(), "announce");
  EXPECT_EQ(last_kind(d), ExitKind::start_timeout);
  EXPECT_EQ(d.machine.last_exit()->last_lines, std::vector<std::string>{"loading layer 7"});
}

TEST(InstanceMachine, S8_SlowStart_ProbesDoNotCountBeforeReadiness) {
  InstanceSettings settings = short_times();
  settings.startup_timeout = 30min;
  Driver d(settings);
  d.start();
  d.port_free();
  for (int i = 0; i < 120; ++i) {
    d.now += 5s;
    EXPECT_EQ(d.probes("-"), "");
    EXPECT_EQ(d.tick(), "");
  }
  EXPECT_EQ(d.became_ready(), "announce watch");
  EXPECT_EQ(d.probes("--"), "") << "none of those count now";
  EXPECT_EQ(d.machine.failures_in_a_row(), 2);
}

TEST(InstanceMachine, S7_Hang_AfterFailuresInARowOnly) {
  Driver d;
  d.to_running();
  for (int i = 0; i < 10; ++i) EXPECT_EQ(d.probes("--+"), "");
  EXPECT_EQ(d.probes("--"), "");
  EXPECT_EQ(d.probes("-"), "announce stop(10s)");
  EXPECT_EQ(registry_status(d.machine.state()), "unhealthy");
  EXPECT_EQ(last_kind(d), ExitKind::hung) << "known at once";
  EXPECT_EQ(d.probes("+"), "") << "too late";
  d.exited(outcome(ExitKind::signalled, 9, {"step thread died"}));
  EXPECT_EQ(d.machine.last_exit()->last_lines, std::vector<std::string>{"step thread died"})
      << "told before it is gone";
  d.gone();
  EXPECT_EQ(last_kind(d), ExitKind::hung);
  EXPECT_EQ(d.state(), "backing_off");
  EXPECT_EQ(d.machine.failures_in_a_row(), 0);
}

TEST(InstanceMachine, ProbeFailuresZero_LivenessIsNotWatched) {
  InstanceSettings settings = short_times();
  settings.probe_failures = 0;
  Driver d(settings);
  d.to_running();
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(d.probes("-"), "");
}

TEST(InstanceMachine, OneOfSeveralRanksDies_TheRestIsStoppedAndTheFirstReasonCounts) {
  Driver d;
  d.to_running();
  ExitOutcome first = outcome(ExitKind::exited, 3, {"forward error"});
  first.rank = 1;
  EXPECT_EQ(d.exited(first), "announce stop(10s)");
  EXPECT_EQ(d.exited(outcome(ExitKind::signalled, 15, {"bye"})), "");
  EXPECT_EQ(d.exited(outcome(ExitKind::signalled, 9)), "");
  EXPECT_EQ(d.gone(), "announce");
  EXPECT_EQ(d.machine.last_exit()->rank, 1);
  EXPECT_EQ(d.machine.last_exit()->value, 3);
  EXPECT_EQ(d.machine.last_exit()->last_lines, std::vector<std::string>{"forward error"});
}

TEST(InstanceMachine, GoneWithoutAnExit_IsLostAndALateExitIsIgnored) {
  Driver d;
  d.to_running();
  EXPECT_EQ(d.gone(), "announce");
  EXPECT_EQ(last_kind(d), ExitKind::lost);
  EXPECT_EQ(d.exited(), "");
  EXPECT_EQ(last_kind(d), ExitKind::lost);
  d.tick_at_wake();
  d.port_free();
  d.exited(outcome(ExitKind::exited, 7));
  EXPECT_EQ(last_kind(d), ExitKind::exited) << "the run before has no part in it";
}

TEST(InstanceMachine, S1_FirstCrashAfterReadiness_StartsAgainAMomentAfterItIsGone) {
  InstanceSettings settings = short_times();
  settings.restart.constant_delay = 0s;
  Driver d(settings);
  d.to_running();
  EXPECT_EQ(d.exited(), "announce stop(10s)");
  EXPECT_EQ(registry_status(d.machine.state()), "unhealthy");
  EXPECT_EQ(d.gone(), "announce");
  EXPECT_EQ(registry_status(d.machine.state()), "unhealthy");
  d.now += 200ms;
  EXPECT_EQ(d.tick(), "announce check_port");
  d.port_free();
  d.became_ready();
  d.exited();
  d.gone();
  d.now += 200ms;
  EXPECT_EQ(d.tick(), "");
  EXPECT_EQ(d.state(), "backing_off") << "the second in a row waits";
  EXPECT_EQ(registry_status(d.machine.state()), "unhealthy");
}

TEST(InstanceMachine, StartLimit_FailedUntilARestartIsAskedFor) {
  Driver d;
  d.to_failed();
  EXPECT_EQ(d.machine.restarts(), 4) << "five starts";
  EXPECT_EQ(d.machine.wake_at(), TimePoint::max());
  EXPECT_EQ(d.tick(), "");
  EXPECT_EQ(d.restart(), "announce check_port");
  d.port_free();
  d.exited();
  d.gone();
  EXPECT_EQ(d.state(), "backing_off") << "earlier failures are forgiven";
}

TEST(InstanceMachine, MaxRestarts_Failed) {
  InstanceSettings settings = short_times();
  settings.restart.start_limit = 0;
  settings.restart.max_restarts = 2;
  Driver d(settings);
  d.to_failed();
  EXPECT_EQ(d.machine.restarts(), 2);
}

TEST(InstanceMachine, LongHealth_ForgivesEarlierFailures) {
  InstanceSettings settings = short_times();
  settings.restart.start_limit_interval = 24h;
  Driver d(settings);
  d.start();
  for (int i = 0; i < 20; ++i) {
    d.port_free();
    d.became_ready();
    d.now += 10min;
    d.exited();
    d.gone();
    EXPECT_EQ(d.state(), "backing_off") << i;
    d.tick_at_wake();
  }
}

TEST(InstanceMachine, Drain_ThenRestart) {
  Driver d;
  d.to_running();
  EXPECT_EQ(d.drain(), "announce");
  EXPECT_EQ(d.machine.wake_at(), TimePoint::max()) << "it may stay drained for days";
  EXPECT_EQ(d.no_open_requests(), "");
  EXPECT_EQ(d.restart(), "");
  EXPECT_EQ(d.machine.wake_at(), d.now + 30s);
  EXPECT_EQ(d.no_open_requests(), "announce stop(10s)");
  EXPECT_EQ(d.exited(outcome(ExitKind::exited, 0)), "");
  EXPECT_EQ(d.gone(), "announce check_port");
  d.port_free();
  d.became_ready();
  EXPECT_EQ(d.state(), "running") << "in rotation again";
}

TEST(InstanceMachine, Drained_StaysSoThroughACrash) {
  Driver d;
  d.to_running();
  d.drain();
  d.exited();
  d.gone();
  EXPECT_EQ(d.state(), "backing_off");
  d.tick_at_wake();
  d.port_free();
  EXPECT_EQ(d.became_ready(), "announce watch");
  EXPECT_EQ(d.state(), "draining");
  EXPECT_EQ(d.probes("---"), "announce stop(10s)") << "and is watched";
}

TEST(InstanceMachine, DrainBeforeReadiness_ComesUpDrained) {
  const std::function<void(Driver&)> before[] = {
      [](Driver&) {},
      [](Driver& d) { d.start(); },
      [](Driver& d) {
        d.start();
        d.port_free();
      },
  };
  for (const auto& reach : before) {
    Driver d;
    reach(d);
    EXPECT_EQ(d.drain(), "");
    d.start();
    d.port_free();
    d.became_ready();
    EXPECT_EQ(d.state(), "draining");
  }
}

TEST(InstanceMachine, RestartOfADrainedWithoutProcesses_ComesUpInRotation) {
  const std::function<void(Driver&)> before[] = {
      [](Driver& d) {
        d.to_running();
        d.exited();
        d.gone();
      },
      [](Driver& d) { d.to_failed(); },
      [](Driver& d) {
        d.start();
        d.port_busy();
      },
      [](Driver& d) { d.start(); },
      [](Driver&) {},
  };
  for (const auto& reach : before) {
    Driver d;
    reach(d);
    d.drain();
    d.restart();
    d.port_free();
    d.became_ready();
    EXPECT_EQ(d.state(), "running");
  }
}

TEST(InstanceMachine, Restart_WhileUnhealthy_SkipsTheWait) {
  Driver d;
  d.to_running();
  d.exited();
  EXPECT_EQ(d.restart(), "");
  EXPECT_EQ(d.gone(), "announce check_port");
  EXPECT_EQ(d.machine.restarts(), 0) << "it was asked for";
  EXPECT_EQ(last_kind(d), ExitKind::signalled);
}

TEST(InstanceMachine, Restart_WhileStarting_NeedsNoDrain) {
  Driver d;
  d.start();
  d.port_free();
  EXPECT_EQ(d.restart(), "announce stop(10s)");
  d.exited(outcome(ExitKind::signalled, 15, {"bye"}));
  EXPECT_EQ(d.gone(), "announce check_port");
  EXPECT_EQ(last_kind(d), ExitKind::stopped);
  EXPECT_EQ(d.machine.last_exit()->last_lines, std::vector<std::string>{"bye"});
  EXPECT_FALSE(d.machine.last_exit()->is_failure());
}

TEST(InstanceMachine, WantedRestarts_NeverReachTheStartLimit) {
  Driver d;
  d.to_running();
  for (int i = 0; i < 100; ++i) {
    d.restart();
    d.no_open_requests();
    d.exited();
    d.gone();
    d.port_free();
    d.became_ready();
    ASSERT_EQ(d.state(), "running");
  }
  EXPECT_EQ(d.machine.restarts(), 0);
}

TEST(InstanceMachine, FailedRestart_IsAFailureLikeAnyOther) {
  InstanceSettings settings = short_times();
  settings.restart.constant_delay = 0s;
  Driver d(settings);
  d.to_running();
  d.now += 1h;
  d.restart();
  d.no_open_requests();
  d.gone();
  d.port_free();
  d.exited();
  d.gone();
  EXPECT_EQ(d.state(), "backing_off") << "not ready since the restart: no immediate start";
}

TEST(InstanceMachine, DrainTimeout_EndsADrainWithOpenRequests) {
  Driver d;
  d.to_running();
  EXPECT_EQ(d.shut_down(), "announce");
  EXPECT_EQ(d.tick_at_wake(), "announce stop(10s)");
  EXPECT_EQ(d.machine.state_since(), TimePoint(1030s));
  EXPECT_EQ(d.machine.wake_at(), TimePoint::max());
  EXPECT_EQ(d.gone(), "announce end");
  EXPECT_EQ(last_kind(d), ExitKind::stopped);
}

TEST(InstanceMachine, DrainTimeoutZero_StopsAtOnce) {
  InstanceSettings settings = short_times();
  settings.drain_timeout = 0s;
  for (const bool for_good : {true, false}) {
    Driver d(settings);
    d.to_running();
    EXPECT_EQ(for_good ? d.shut_down() : d.restart(), "announce stop(10s)");
    EXPECT_EQ(d.state(), "stopping");
  }
}

TEST(InstanceMachine, SecondShutDown_DoesNotProlongTheDrain) {
  Driver d;
  d.to_running();
  d.shut_down();
  const TimePoint end = d.machine.wake_at();
  d.now += 20s;
  EXPECT_EQ(d.shut_down(), "");
  EXPECT_EQ(d.machine.wake_at(), end);
}

TEST(InstanceMachine, ShutDownDuringARestart_EndsInsteadOfStarting) {
  Driver d;
  d.to_running();
  d.restart();
  const TimePoint end = d.machine.wake_at();
  d.now += 5s;
  EXPECT_EQ(d.shut_down(), "");
  EXPECT_EQ(d.machine.wake_at(), end) << "the drain goes on";
  d.no_open_requests();
  EXPECT_EQ(d.restart(), "");
  EXPECT_EQ(d.drain(), "");
  EXPECT_EQ(d.gone(), "announce end");
}

TEST(InstanceMachine, ShutDownOfADrained_GetsADrainOfItsOwn) {
  Driver d;
  d.to_running();
  d.drain();
  d.now += 1h;
  d.shut_down();
  EXPECT_EQ(d.machine.wake_at(), d.now + 30s);
}

TEST(InstanceMachine, EngineEndsByItselfWhileDraining_ItsReasonIsKeptAndNothingIsCounted) {
  Driver d;
  d.to_running();
  d.restart();
  d.exited(outcome(ExitKind::signalled, 11));
  EXPECT_EQ(d.gone(), "announce check_port");
  EXPECT_EQ(last_kind(d), ExitKind::signalled);
  EXPECT_EQ(d.machine.restarts(), 0);
}

TEST(InstanceMachine, HangWhileDrainingToEnd_IsNotWaitedFor) {
  Driver d;
  d.to_running();
  d.shut_down();
  EXPECT_EQ(d.probes("---"), "announce stop(10s)");
  EXPECT_EQ(d.gone(), "announce end");
  EXPECT_EQ(last_kind(d), ExitKind::hung);
}

TEST(InstanceMachine, Adopt_ReadyAfterAll) {
  Driver d;
  EXPECT_EQ(d.adopt(), "announce");
  EXPECT_TRUE(d.machine.processes_exist());
  EXPECT_EQ(d.became_ready(), "announce watch");
  EXPECT_EQ(d.exited(), "announce stop(10s)");
  d.gone();
  EXPECT_EQ(d.tick_at_wake(), "announce check_port");
}

TEST(InstanceMachine, Adopt_NeverReady) {
  Driver d;
  d.adopt();
  EXPECT_EQ(d.tick_at_wake(), "announce stop(10s)");
  d.gone();
  EXPECT_EQ(last_kind(d), ExitKind::start_timeout);
}

TEST(InstanceMachine, AdoptThenShutDown_IsStoppedLikeAnyOther) {
  Driver d;
  d.adopt();
  EXPECT_EQ(d.shut_down(), "announce stop(10s)");
  EXPECT_EQ(d.gone(), "announce end");
}

TEST(InstanceMachine, StaleAnswerOfThePort_AfterTheEnd) {
  Driver d;
  d.start();
  EXPECT_EQ(d.shut_down(), "announce end");
  EXPECT_EQ(d.port_free(), "");
  EXPECT_EQ(d.port_busy(), "");
  EXPECT_EQ(d.state(), "stopped");
}

/// Plays an outside world that answers or does not, and holds the machine to its promises.
class RandomWorld {
 public:
  explicit RandomWorld(std::uint64_t seed) : random_(seed), driver_(settings(seed)) {}

  void step() {
    driver_.now += std::chrono::milliseconds(random_() % 4000);
    switch (random_() % 40) {
      case 0: check(driver_.machine.start(driver_.now)); break;
      case 1: check(driver_.machine.adopt(driver_.now)); break;
      case 2:
      case 3: check(driver_.machine.restart(driver_.now)); break;
      case 4: check(driver_.machine.drain(driver_.now)); break;
      case 5: {
        const bool ends = random_() % 50 == 0;
        if (ends) check(driver_.machine.shut_down(driver_.now));
        shut_down_ |= ends;
        break;
      }
      case 6: check(driver_.machine.port_busy(driver_.now)); break;
      case 7:
      case 8:
      case 9:
      case 10: check(driver_.machine.port_free(driver_.now)); break;
      case 11: check(driver_.machine.launched(driver_.now)); break;
      case 12:
      case 13:
      case 14: check(driver_.machine.became_ready(driver_.now)); break;
      case 15:
      case 16:
      case 17: check(driver_.machine.probed(driver_.now, random_() % 2 == 0)); break;
      case 18: check(driver_.machine.no_open_requests(driver_.now)); break;
      case 19:
      case 20: check(driver_.machine.exited(driver_.now, outcome(kind()), random_())); break;
      case 21:
      case 22:
      case 23: run_is_gone(); break;
      default: tick(); break;
    }
  }
  /// After a shut_down: whatever it was doing, exits, ends and time lead to `end`.
  void finish() {
    check(driver_.machine.shut_down(driver_.now));
    for (int i = 0; i < 4 && !ended_; ++i) {
      if (driver_.machine.wake_at() != TimePoint::max()) driver_.now = std::max(driver_.now, driver_.machine.wake_at());
      tick();
      if (random_() % 2 == 0) check(driver_.machine.exited(driver_.now, outcome(kind()), random_()));
      if (stop_ordered_) run_is_gone();
    }
    EXPECT_TRUE(ended_) << driver_.state();
    EXPECT_EQ(driver_.machine.wake_at(), TimePoint::max());
  }
  bool shut_down() const { return shut_down_; }
  int launches() const { return launches_; }

 private:
  static InstanceSettings settings(std::uint64_t seed) {
    InstanceSettings settings = short_times();
    if (seed % 2 == 0) settings.restart.constant_delay = 0s;
    if (seed % 3 == 0) settings.drain_timeout = 0s;
    if (seed % 5 == 0) settings.restart.start_limit = 0;
    if (seed % 7 == 0) settings.port_retry = 0s;
    return settings;
  }
  ExitKind kind() { return static_cast<ExitKind>(random_() % 8); }
  void run_is_gone() {
    const bool was = std::exchange(run_, false);
    stop_ordered_ = false;
    const auto actions = driver_.machine.gone(driver_.now, random_());
    EXPECT_TRUE(was || actions.empty());
    check(actions);
  }
  void tick() {
    check(driver_.machine.tick(driver_.now, random_()));
    ASSERT_GT(driver_.machine.wake_at(), driver_.now);
  }
  void check(const InstanceMachine::Actions& actions) {
    for (const auto& due : actions) {
      ASSERT_FALSE(ended_) << "nothing is to be done after the end";
      switch (due.action) {
        case InstanceAction::launch:
          ASSERT_FALSE(run_) << "two runs at once";
          run_ = true;
          ++launches_;
          break;
        case InstanceAction::stop:
          ASSERT_TRUE(run_) << "there is nothing to stop";
          ASSERT_FALSE(stop_ordered_);
          stop_ordered_ = true;
          break;
        case InstanceAction::end: ended_ = true; break;
        case InstanceAction::watch: ASSERT_TRUE(run_); break;
        case InstanceAction::check_port: ASSERT_FALSE(run_) << "its own engine has it"; break;
        case InstanceAction::announce: break;
      }
    }
    if (driver_.machine.state() == InstanceState::starting && driver_.machine.processes_exist())
      run_ = true;  // adopted
    ASSERT_EQ(driver_.machine.processes_exist(), run_);
    ASSERT_EQ(ended_, driver_.machine.state() == InstanceState::stopped);
    ASSERT_FALSE(stop_ordered_ && driver_.machine.state() == InstanceState::running);
  }

  std::mt19937_64 random_;
  Driver driver_;
  bool run_ = false;
  bool stop_ordered_ = false;
  bool ended_ = false;
  bool shut_down_ = false;
  int launches_ = 0;
};

TEST(InstanceMachine, S4_RandomEvents_NeverTwoRunsAndAlwaysAnEnd) {
  int events = 0;
  int launches = 0;
  for (std::uint64_t seed = 1; events < 100'000; ++seed) {
    SCOPED_TRACE(seed);
    RandomWorld world(seed);
    for (int i = 0; i < 1000 && !::testing::Test::HasFatalFailure(); ++i, ++events) {
      world.step();
      if (world.shut_down() && i > 900) break;
    }
    world.finish();
    launches += world.launches();
    ASSERT_FALSE(HasFailure());
  }
  EXPECT_GT(launches, 1000) << "the walk must reach what it is to check";
}

}  // namespace
}  // namespace svc::agent
