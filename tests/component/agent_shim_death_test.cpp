// Who outlives whom: the death of an agent, of a shim, and of both (S4 of the reliability statements).
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <csignal>
#include <filesystem>

#include "common/io/proc_scan.hpp"
#include "tests/support/patience.hpp"
#include "tests/support/run_fixture.hpp"

namespace svc::agent {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

class ShimDeath : public test::RunFixture {
 protected:
  /// As the death of the agent looks to its shim.
  void lose_agent() {
    client.reset();
    seen = test::Seen();
  }
  void start_ready(const LaunchOrder& made) {
    start(made);
    ASSERT_TRUE(wait_log("out ready"));
  }
  LaunchOrder kept(std::vector<std::string> steps) {
    LaunchOrder made = order(std::move(steps));
    made.outlive_agent = true;
    return made;
  }
  void end_strays() {
    bool done = false;
    asio::co_spawn(io, ChildWatch::end_strays(), [&done](const std::exception_ptr&) { done = true; });
    EXPECT_TRUE(wait([&done] { return done; }));
  }
};

TEST_F(ShimDeath, Client_DestroyedWhileItWaitsForAGreeting_IsNotTouched) {
  start_ready(kept({"print:ready", "pause"}));
  const pid_t shim = client->shim_pid();
  ::kill(shim, SIGSTOP);
  lose_agent();
  auto waiting = std::make_unique<ShimClient>(io.get_executor(), ShimHandlers{});
  std::optional<bool> attached;
  asio::co_spawn(io, waiting->attach(files),
                 [&attached](const std::exception_ptr&, bool result) { attached = result; });
  io.restart();
  io.poll();
  ASSERT_FALSE(attached);
  waiting.reset();
  EXPECT_TRUE(wait([&attached] { return attached.has_value(); }));
  EXPECT_EQ(attached, false);
  ::kill(shim, SIGCONT);
  ASSERT_TRUE(attach());
  client->stop(0s);
  EXPECT_TRUE(wait_gone());
}

TEST_F(ShimDeath, Kept_WhereNobodyCouldConnect_EndsWithTheAgent) {
  std::filesystem::create_directories(files.socket + "/in the way");
  start_ready(kept({"print:ready", "pause"}));
  ASSERT_TRUE(wait_log("cannot listen"));
  lose_agent();
  EXPECT_TRUE(wait_nothing_left(20s));
}

TEST_F(ShimDeath, S4_AgentGone_EverythingIsGoneWithinASecond) {
  const std::vector<std::vector<std::string>> engines{
      {"print:ready", "pause"},
      {"ignore:15", "print:ready", "pause"},
      {"session-daemon", "ignore:15", "pause", "--", "daemon", "ignore:15", "pause", "--", "ignore:15", "print:ready",
       "pause"},
      {"session-daemon", "respawn:20", "--", "print:ready", "pause"},
      {"print:ready", "flood:100000"},
  };
  const Duration limit = test::under_sanitizer() ? 3s : 1s;
  for (const auto& steps : engines) {
    Duration took = Duration::max();
    for (int attempt = 0; attempt < 8 && took >= limit; ++attempt) {  // a busy machine can only add to it
      LaunchOrder made = order(steps);
      made.grace = 1h;
      start_ready(made);
      const TimePoint before = steady_now();
      lose_agent();
      ASSERT_TRUE(wait_nothing_left(20s)) << steps.front();
      took = steady_now() - before;
    }
    EXPECT_LT(took, limit) << steps.front();
  }
}

TEST_F(ShimDeath, S4_AgentGoneDuringAStop_ShortensIt) {
  start_ready(order({"ignore:15", "print:ready", "pause"}));
  client->stop(1h);
  ASSERT_TRUE(wait_log("agent stopping"));
  lose_agent();
  EXPECT_TRUE(wait_nothing_left(5s));
}

TEST_F(ShimDeath, WithoutKeep_NobodyCanAttach) {
  start_ready(order({"print:ready", "pause"}));
  EXPECT_FALSE(folder.has("state/toy.sock"));
  lose_agent();
  EXPECT_FALSE(attach());
}

TEST_F(ShimDeath, S4_Keep_TheNextAgentTakesOver) {
  const LaunchOrder made =
      kept({"print:INFO: Uvicorn running on http://0.0.0.0:8123 (x)", "print:ready", "term:7", "pause"});
  start_ready(made);
  ASSERT_TRUE(wait([this] { return seen.port().has_value(); }));
  const RunReport first = *seen.run;
  for (int round = 0; round < 20; ++round) {
    lose_agent();
    ASSERT_TRUE(attach()) << round;
    ASSERT_TRUE(wait([this] { return seen.run.has_value(); }));
    EXPECT_EQ(seen.run->shim, first.shim);
    EXPECT_EQ(seen.run->ranks, first.ranks);
    EXPECT_EQ(seen.run->fingerprint, made.fingerprint);
    EXPECT_EQ(seen.run->started_at_us, first.started_at_us);
    EXPECT_EQ(seen.run->port, 8123);
    EXPECT_EQ(client->shim_pid(), first.shim);
    EXPECT_EQ(marked().size(), 1U);
  }
  client->stop(10s);
  ASSERT_TRUE(wait_gone());
  EXPECT_EQ(seen.ended, true);
  EXPECT_EQ(seen.exits.front().value, 7);
  EXPECT_FALSE(folder.has("state/toy.sock"));
}

TEST_F(ShimDeath, S4_Keep_NoSecondCopyIsStarted) {
  start_ready(kept({"print:ready", "pause"}));
  const pid_t shim = seen.run->shim;
  lose_agent();
  const auto second = launch(order({"print:second", "pause"}), 200ms);
  ASSERT_TRUE(second.has_error());
  EXPECT_THAT(second.error().to_string(), HasSubstr("process " + std::to_string(shim)));
  EXPECT_EQ(marked().size(), 1U);
  ASSERT_TRUE(attach());
  client->stop(5s);
  EXPECT_TRUE(wait_gone());
}

TEST_F(ShimDeath, Keep_TakenOverByAnAgentThatDoesNotKeep_EndsWithIt) {
  start_ready(kept({"print:ready", "pause"}));
  lose_agent();
  ASSERT_TRUE(attach());
  ASSERT_TRUE(wait([this] { return seen.run.has_value(); }));
  client->end_with_agent();
  lose_agent();
  EXPECT_TRUE(wait_nothing_left(5s));
  EXPECT_THAT(log(), HasSubstr("ends with its agent from now on"));
  EXPECT_FALSE(folder.has("state/toy.sock"));
}

TEST_F(ShimDeath, Keep_EndIsToldThoughTheParentDoesNotReap) {
  start_ready(kept({"print:ready", "pause"}));
  const pid_t shim = seen.run->shim;
  lose_agent();
  ChildWatch::know(shim);  // nobody reaps it, as with a container's idle first process
  ASSERT_TRUE(attach());
  client->stop(5s);
  EXPECT_TRUE(wait_gone());
  const auto left = facts_of(shim);
  EXPECT_TRUE(left && left->state == 'Z');
  ChildWatch::leave(shim);
}

TEST_F(ShimDeath, Keep_SecondAgentBesideTheFirst_IsRefused) {
  start_ready(kept({"print:ready", "pause"}));
  auto first = std::move(client);
  EXPECT_FALSE(attach());
  first->stop(5s);
  EXPECT_TRUE(wait_nothing_left(5s));
}

TEST_F(ShimDeath, Keep_SocketIsForThisUserAlone) {
  start_ready(kept({"print:ready", "pause"}));
  struct stat facts {};
  ASSERT_EQ(::stat(files.socket.c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mode & 0777U, 0600U);
  ASSERT_EQ(::stat(folder.path("state").c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mode & 0777U, 0700U);
  client->stop(5s);
  EXPECT_TRUE(wait_gone());
}

TEST_F(ShimDeath, Keep_EngineThatEndsWithoutAnAgent_TakesTheRestWithIt) {
  LaunchOrder made = kept({"print:ready", "pause"});
  add_rank(made, {"session-daemon", "ignore:15", "pause", "--", "pause"});
  made.grace = 200ms;
  start_ready(made);
  const pid_t rank = seen.run->ranks.front();
  lose_agent();
  ASSERT_TRUE(wait_log("kept for the next one"));
  ::kill(rank, SIGKILL);
  EXPECT_TRUE(wait_nothing_left(5s));
  EXPECT_FALSE(attach());
}

TEST_F(ShimDeath, Keep_LongPathsAndOddNames_Work) {
  std::string deep = folder.path("state");
  for (int i = 0; i < 4; ++i) deep += "/" + std::string(60, 'd');
  std::filesystem::create_directories(std::filesystem::path(deep).parent_path());
  const std::string long_name = "gpu/" + std::string(300, 'n');
  for (const std::string& name : {std::string("../a b/\xe4\xbd\xa0"), long_name, long_name + "2"}) {
    files = RunFiles(deep, name);
    EXPECT_EQ(std::filesystem::path(files.lock).parent_path(), deep);
    start(kept({"pause"}));
    lose_agent();
    ASSERT_TRUE(attach());
    client->stop(0s);
    ASSERT_TRUE(wait_gone());
  }
  EXPECT_NE(RunFiles(deep, long_name).lock, RunFiles(deep, long_name + "2").lock);
}

TEST_F(ShimDeath, Launch_WaitsForAnEarlierRunToEnd) {
  LaunchOrder made = order({"ignore:15", "print:ready", "pause"});
  start_ready(made);
  const pid_t earlier = seen.run->shim;
  lose_agent();
  start(order({"pause"}));  // the earlier one has half a second
  EXPECT_NE(seen.run->shim, earlier);
  EXPECT_EQ(marked().size(), 1U);
}

TEST_F(ShimDeath, ShimKilled_RanksDieWithItAndOrphansAreEnded) {
  for (const char* kind : {"fork", "daemon", "session", "session-daemon"}) {
    SCOPED_TRACE(kind);
    start_ready(order({kind, "ignore:15", "pause", "--", "ignore:15", "print:ready", "pause"}));
    EXPECT_EQ(marked().size(), 2U);
    ::kill(seen.run->shim, SIGKILL);
    ASSERT_TRUE(wait_gone());
    EXPECT_EQ(seen.ended, false);
    EXPECT_FALSE(seen.gone);
    end_strays();
    EXPECT_TRUE(wait_nothing_left(10s));
  }
}

TEST_F(ShimDeath, EndStrays_LeavesOtherRunsAlone) {
  start_ready(order({"session-daemon", "pause", "--", "print:ready", "pause"}));
  end_strays();
  EXPECT_EQ(marked().size(), 2U);
  EXPECT_FALSE(seen.ended);
  client->stop(0s);
  EXPECT_TRUE(wait_gone());
}

TEST_F(ShimDeath, ShimKilledWithoutItsAgent_TheNextRunEndsWhatIsLeft) {
  // As after `pkill -9 -f infinilm-agent`: nobody is left to end the grandchild, and nobody is its ancestor any more.
  start_ready(order({"session-daemon", "ignore:15", "print:orphan", "pause", "--", "print:ready", "pause"}));
  const pid_t shim = seen.run->shim;
  ASSERT_EQ(marked().size(), 2U);
  ::kill(shim, SIGKILL);
  client.reset();
  ASSERT_TRUE(wait([this] { return marked().size() == 1; }, 5s));
  const pid_t orphan = marked().front();
  start(order({"pause"}));
  EXPECT_EQ(marked().size(), 1U);
  EXPECT_NE(marked().front(), orphan);
}

TEST_F(ShimDeath, Cgroup_OfAnotherAgentsServiceOfThatName_IsLeftAlone) {
  if (!test::has_cgroup()) GTEST_SKIP() << "no cgroup v2 that may be written to";
  LaunchOrder made = order({"print:ready", "pause"});
  made.cgroup_parent = test::kCgroupParent;
  start_ready(made);
  const RunReport first_run = *seen.run;
  const auto first = std::move(client);
  files = RunFiles(folder.path("another state"), "toy");
  start(made);
  EXPECT_NE(seen.run->cgroup, first_run.cgroup);
  EXPECT_TRUE(std::filesystem::exists(first_run.cgroup));
  EXPECT_FALSE(wait([&] { return !facts_of(first_run.ranks.front()); }, 200ms));
  client->stop(0s);
  EXPECT_TRUE(wait_gone());
  first->stop(0s);
  EXPECT_TRUE(wait_nothing_left(5s));
}

TEST_F(ShimDeath, Cgroup_ThatAKilledShimLeft_IsRemovedByTheNextRun) {
  if (!test::has_cgroup()) GTEST_SKIP() << "no cgroup v2 that may be written to";
  LaunchOrder made = order({"session-daemon", "ignore:15", "pause", "--", "print:ready", "pause"});
  made.cgroup_parent = test::kCgroupParent;
  start_ready(made);
  const RunReport first = *seen.run;
  ::kill(first.shim, SIGKILL);
  client.reset();
  ASSERT_TRUE(wait([this] { return marked().size() == 1; }, 5s));
  made.ranks.clear();
  add_rank(made, {"pause"});
  start(made);
  EXPECT_EQ(marked().size(), 1U);
  EXPECT_FALSE(std::filesystem::exists(first.cgroup));
  client->stop(0s);
  EXPECT_TRUE(wait_gone());
}

TEST_F(ShimDeath, AgentLock_HasOneHolder) {
  auto first = AgentLock::take(files);
  ASSERT_TRUE(first.has_value());
  const auto second = AgentLock::take(files);
  ASSERT_TRUE(second.has_error());
  EXPECT_EQ(second.error().code, Errc::conflict);
  EXPECT_THAT(second.error().to_string(), HasSubstr("process " + std::to_string(::getpid())));
  AgentLock moved = std::move(*first);
  EXPECT_TRUE(AgentLock::take(files).has_error());
  { const AgentLock ended = std::move(moved); }
  EXPECT_TRUE(AgentLock::take(files).has_value());
}

TEST_F(ShimDeath, CommandsThatDoNotFitAMessage_AreRefused) {
  LaunchOrder made = order({"pause"});
  made.ranks.front().argv.push_back(std::string(kMaxShimMessage, 'x'));
  const auto launched = launch(made);
  ASSERT_TRUE(launched.has_error());
  EXPECT_EQ(launched.error().code, Errc::too_large);
}

TEST_F(ShimDeath, StateFolderThatCannotBeMade_IsAnError) {
  files = RunFiles(folder.write("file", "x") + "/below", "toy");
  const auto launched = launch(order({"pause"}));
  ASSERT_TRUE(launched.has_error());
  EXPECT_THAT(launched.error().to_string(), HasSubstr("state directory"));
}

}  // namespace
}  // namespace svc::agent
