// A run under a real shim: how it ends, and that nothing of it is left (S3, S5 and S6 of the reliability statements).
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>

#include "common/io/proc_scan.hpp"
#include "tests/support/run_fixture.hpp"

namespace svc::agent {
namespace {

using namespace std::chrono_literals;
using test::toy_command;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;

/// Of what has half a second: on a busy machine that may not be enough to be heard.
constexpr int kAttempts = 4;

class Shim : public test::RunFixture {
 protected:
  /// Runs the toy to its own end.
  ExitOutcome outcome_of(std::vector<std::string> steps) {
    start(order(std::move(steps)));
    EXPECT_TRUE(wait_gone());
    EXPECT_EQ(seen.ended, true);
    EXPECT_TRUE(seen.gone);
    EXPECT_EQ(seen.exits.size(), 1U);
    expect_nothing_left();
    return seen.exits.empty() ? ExitOutcome{} : seen.exits.front();
  }

  /// Starts the toy, waits for its line "ready", stops it, and checks that everything is gone.
  void stop_toy(std::vector<std::string> steps, Duration grace, const std::string& cgroup_parent = "") {
    LaunchOrder made = order(std::move(steps));
    made.cgroup_parent = cgroup_parent;
    start(made);
    ASSERT_TRUE(wait_log("out ready"));
    client->stop(grace);
    ASSERT_TRUE(wait_gone());
    EXPECT_EQ(seen.ended, true);
    expect_nothing_left();
  }
};

TEST_F(Shim, ExitCodes_AreReported) {
  for (const int code : {0, 1, 3, 255}) {
    const ExitOutcome outcome = outcome_of({"exit:" + std::to_string(code)});
    EXPECT_EQ(outcome.kind, ExitKind::exited);
    EXPECT_EQ(outcome.value, code);
  }
}

TEST_F(Shim, EverySignal_IsReported) {
  for (const int signal : {SIGHUP, SIGINT, SIGQUIT, SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGKILL, SIGUSR1, SIGSEGV,
                           SIGUSR2, SIGPIPE, SIGALRM, SIGTERM, SIGXCPU, SIGXFSZ, SIGSYS, SIGRTMIN}) {
    const ExitOutcome outcome = outcome_of({"raise:" + std::to_string(signal)});
    EXPECT_EQ(outcome.kind, ExitKind::signalled) << signal;
    EXPECT_EQ(outcome.value, signal);
  }
}

TEST_F(Shim, LastLines_ComeWithTheExit) {
  std::vector<std::string> steps;
  for (int i = 1; i <= 30; ++i) steps.push_back("print:line " + std::to_string(i));
  steps.insert(steps.end(), {"error:what went wrong", "partial:Segmentation fau", "exit:1"});
  const ExitOutcome outcome = outcome_of(steps);
  ASSERT_EQ(outcome.last_lines.size(), 20U);
  // The two streams are two pipes, so their order is not known.
  EXPECT_THAT(outcome.last_lines, Contains("line 30"));
  EXPECT_THAT(outcome.last_lines, Contains("what went wrong"));
  EXPECT_THAT(outcome.last_lines, Contains("Segmentation fau"));
}

TEST_F(Shim, Stop_LetsTheEngineEndByItself) {
  stop_toy({"term:7", "print:ready", "pause"}, 20s);
  EXPECT_EQ(seen.exits.front().kind, ExitKind::exited);
  EXPECT_EQ(seen.exits.front().value, 7);
  EXPECT_EQ(seen.gone->killed, 0U);
}

TEST_F(Shim, Stop_IgnoredTerm_IsKilledAfterTheGrace) {
  const TimePoint before = steady_now();
  stop_toy({"ignore:15", "print:ready", "pause"}, 300ms);
  EXPECT_GE(steady_now() - before, 300ms);
  EXPECT_EQ(seen.exits.front().value, SIGKILL);
  EXPECT_GE(seen.gone->killed, 1U);
}

TEST_F(Shim, Stop_WithoutGrace_KillsAtOnce) {
  stop_toy({"term:7", "print:ready", "pause"}, 0s);
  EXPECT_EQ(seen.exits.front().value, SIGKILL);
}

TEST_F(Shim, Stop_AgainWithLessGrace_IsFaster) {
  start(order({"ignore:15", "print:ready", "pause"}));
  ASSERT_TRUE(wait_log("out ready"));
  client->stop(1h);
  client->stop(50ms);
  EXPECT_TRUE(wait_gone(5s));
}

TEST_F(Shim, Stop_OfAStoppedEngine_IsHeard) {
  start(order({"term:7", "print:ready", "pause"}));
  ASSERT_TRUE(wait_log("out ready"));
  ::kill(seen.run->ranks.front(), SIGSTOP);
  client->stop(20s);
  ASSERT_TRUE(wait_gone(10s));
  EXPECT_EQ(seen.exits.front().value, 7);
}

TEST_F(Shim, S3_GrandchildrenOfEveryKind_AreGoneAfterAStop) {
  for (const char* kind : {"fork", "daemon", "session", "session-daemon"}) {
    SCOPED_TRACE(kind);
    stop_toy({kind, "ignore:15", "pause", "--", "print:ready", "pause"}, 300ms);
    EXPECT_GE(seen.gone->killed, 1U);
  }
}

TEST_F(Shim, S3_GrandchildrenOfEveryKind_AreGoneAfterACrash) {
  for (const char* kind : {"fork", "daemon", "session", "session-daemon"}) {
    SCOPED_TRACE(kind);
    // The grandchild holds the pipes: the report of the exit must not wait for them.
    const TimePoint before = steady_now();
    start(order({kind, "ignore:15", "pause", "--", "exit:3"}));
    ASSERT_TRUE(wait_exit());
    EXPECT_EQ(seen.exits.front().value, 3);
    ASSERT_TRUE(wait_gone());
    EXPECT_LT(steady_now() - before, 4500ms) << "the whole grace is for those that a stop was meant for";
    expect_nothing_left();
  }
}

TEST_F(Shim, Grandchild_WhoseFirstThreadHasEnded_IsGoneAfterAStop) {
  for (const char* kind : {"fork", "session-daemon"}) {
    SCOPED_TRACE(kind);
    stop_toy({kind, "ignore:15", "headless", "--", "print:ready", "pause"}, 300ms);
    EXPECT_GE(seen.gone->killed, 1U);
  }
}

TEST_F(Shim, Orphans_AreAskedBeforeTheyAreKilled) {
  bool asked = false;
  for (int attempt = 0; attempt < kAttempts && !asked; ++attempt) {
    start(order({"session-daemon", "term:0", "pause", "--", "exit:0"}));
    ASSERT_TRUE(wait_gone());
    asked = seen.gone->killed == 0;
  }
  EXPECT_TRUE(asked);
}

TEST_F(Shim, OrphansOfAStop_AreAskedBeforeTheyAreKilled) {
  bool asked = false;
  for (int attempt = 0; attempt < kAttempts && !asked; ++attempt) {
    // It becomes one only when its parent has heard the TERM.
    stop_toy({"session", "term:0", "pause", "--", "term:7", "print:ready", "pause"}, 20s);
    EXPECT_EQ(seen.exits.front().value, 7);
    asked = seen.gone->killed == 0;
  }
  EXPECT_TRUE(asked);
}

TEST_F(Shim, Respawner_IsOutrun) { stop_toy({"session-daemon", "respawn:50", "--", "print:ready", "pause"}, 100ms); }

TEST_F(Shim, Hopper_IsCaught) {
  for (int round = 0; round < 3; ++round) {
    stop_toy({"session-daemon", "hop", "--", "print:ready", "pause"}, 100ms);
  }
}

TEST_F(Shim, ExitReport_DoesNotWaitForAChattingGrandchild) {
  start(order({"session-daemon", "ignore:15", "chatter", "--", "exit:4"}));
  ASSERT_TRUE(wait_exit(5s));
  EXPECT_EQ(seen.exits.front().value, 4);
  ASSERT_TRUE(wait_gone());
}

TEST_F(Shim, ClosedOutput_IsNoEnd) {
  start(order({"print:ready", "close", "term:7", "pause"}));
  ASSERT_TRUE(wait_log("out ready"));
  EXPECT_FALSE(wait_exit(200ms));
  client->stop(10s);
  ASSERT_TRUE(wait_gone());
  EXPECT_EQ(seen.exits.front().value, 7);
}

TEST_F(Shim, WhatCannotBeStarted_IsAnExitWithItsReason) {
  const std::string plain = folder.write("plain", "no program");
  const std::vector<std::pair<RankCommand, int>> cases{
      {{{"/no/such/engine"}, {}, ""}, ENOENT},
      {{{plain}, {}, ""}, EACCES},
      {{toy_command({"pause"}), {}, "/no/such/dir"}, ENOENT},
  };
  for (const auto& [command, error] : cases) {
    LaunchOrder made = order({});
    made.ranks = {command};
    ASSERT_TRUE(launch(made).has_value());
    ASSERT_TRUE(wait_gone());
    ASSERT_EQ(seen.exits.size(), 1U);
    EXPECT_EQ(seen.exits.front().kind, ExitKind::start_failed);
    EXPECT_EQ(seen.exits.front().value, error);
    EXPECT_THAT(seen.exits.front().last_lines, ElementsAre(HasSubstr("cannot")));
    EXPECT_TRUE(seen.ended.value_or(false));
    expect_nothing_left();
  }
}

TEST_F(Shim, RankThatCannotBeStarted_EndsTheOthers) {
  LaunchOrder made = order({"print:ready", "pause"});
  made.ranks.push_back({{"/no/such/engine"}, {}, ""});
  add_rank(made, {"pause"});
  ASSERT_TRUE(launch(made).has_value());
  ASSERT_TRUE(wait_gone());
  EXPECT_EQ(seen.exits.front().rank, 1);
  EXPECT_EQ(seen.exits.front().kind, ExitKind::start_failed);
  expect_nothing_left();
}

TEST_F(Shim, Ranks_AreStoppedByOrderWhenOneDies) {
  LaunchOrder made = order({"print:ready", "pause"});
  add_rank(made, {"print:two", "raise:9"});
  add_rank(made, {"error:three", "pause"});
  start(made);
  EXPECT_EQ(seen.run->ranks.size(), 3U);
  ASSERT_TRUE(wait_exit());
  EXPECT_EQ(seen.exits.front().rank, 1);
  EXPECT_EQ(seen.exits.front().value, SIGKILL);
  EXPECT_THAT(seen.exits.front().last_lines, ElementsAre("two"));
  ASSERT_TRUE(wait_log("err.2 three"));
  // The agent decides about the others.
  EXPECT_FALSE(wait([this] { return seen.exits.size() > 1; }, 200ms));
  client->stop(10s);
  ASSERT_TRUE(wait_gone());
  EXPECT_EQ(seen.exits.size(), 3U);
}

TEST_F(Shim, Cgroup_IsUsedAndRemoved) {
  if (!test::has_cgroup()) GTEST_SKIP() << "no cgroup v2 that may be written to";
  stop_toy({"session-daemon", "hop", "--", "session-daemon", "respawn:50", "--", "print:ready", "pause"}, 100ms,
           test::kCgroupParent);
  ASSERT_FALSE(seen.run->cgroup.empty());
  EXPECT_THAT(seen.run->cgroup, HasSubstr("/infinilm-toy."));
  EXPECT_FALSE(std::filesystem::exists(seen.run->cgroup));
}

TEST_F(Shim, CgroupThatCannotBeMade_IsDoneWithout) {
  stop_toy({"print:ready", "pause"}, 5s, folder.path("no-cgroup"));
  EXPECT_EQ(seen.run->cgroup, "");
}

TEST_F(Shim, SignalsToTheShim_DoNotEndIt) {
  start(order({"print:ready", "pause"}));
  ASSERT_TRUE(wait_log("out ready"));
  for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGPIPE, SIGUSR1, SIGUSR2, SIGALRM}) {
    ::kill(seen.run->shim, signal);
  }
  EXPECT_FALSE(wait([this] { return seen.ended.has_value(); }, 200ms));
  client->stop(5s);
  EXPECT_TRUE(wait_gone());
}

TEST_F(Shim, EngineHasTheFileLimitThatTheAgentWasStartedWith) {
  rlimit original{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &original), 0);
  rlimit raised = original;
  raised.rlim_cur = original.rlim_cur > 1000 ? original.rlim_cur - 7 : original.rlim_max;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &raised), 0);
  outcome_of({"about", "exit:0"});
  ::setrlimit(RLIMIT_NOFILE, &original);
  EXPECT_THAT(log(), HasSubstr("out files " + std::to_string(original.rlim_cur) + "\n"));
}

TEST_F(Shim, S5_ShortLivedChildren_LeaveNoZombies) {
  std::vector<std::string> steps;
  for (int i = 0; i < 200; ++i) steps.insert(steps.end(), {"session-daemon", "exit:0", "--"});
  steps.insert(steps.end(), {"print:ready", "pause"});
  start(order(steps));
  ASSERT_TRUE(wait_log("out ready"));
  // The shim, and its one rank.
  EXPECT_TRUE(wait([] { return scan_descendants(::getpid()).size() == 2; }, 5s));
  client->stop(5s);
  EXPECT_TRUE(wait_gone());
}

TEST_F(Shim, S5_FiftyRuns_LeakNoDescriptorsInTheAgent) {
  outcome_of({"exit:0"});
  client.reset();
  const std::size_t before = test::open_descriptors();
  for (int i = 0; i < 50; ++i) outcome_of({"print:x", "exit:1"});
  client.reset();
  EXPECT_EQ(test::open_descriptors(), before);
}

TEST_F(Shim, S6_SignalOfAProcessThatIsNotMeantAnyMore_IsNotSent) {
  start(order({"print:ready", "pause"}));
  ASSERT_TRUE(wait_log("out ready"));
  auto facts = facts_of(seen.run->ranks.front());
  ASSERT_TRUE(facts);
  ++facts->start_ticks;  // as if the pid had been used again
  EXPECT_FALSE(signal_process(*facts, SIGKILL));
  EXPECT_FALSE(wait_exit(100ms));
  --facts->start_ticks;
  EXPECT_TRUE(signal_process(*facts, SIGKILL));
  EXPECT_TRUE(wait_exit());
}

}  // namespace
}  // namespace svc::agent
