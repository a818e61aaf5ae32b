// What an engine prints, through a real shim into log, reports and last lines (S10 of the reliability statements).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "common/io/proc_scan.hpp"
#include "tests/support/patience.hpp"
#include "tests/support/run_fixture.hpp"

namespace svc::agent {
namespace {

using namespace std::chrono_literals;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;

class ShimOutput : public test::RunFixture {};

TEST_F(ShimOutput, LastLines_AreWholeAlsoWhenAGrandchildHoldsTheOutput) {
  start(order({"session-daemon", "ignore:15", "pause", "--", "print:one", "partial:Segmentation fau", "exit:1"}));
  ASSERT_TRUE(wait_exit());
  EXPECT_THAT(seen.exits.front().last_lines, ElementsAre("one", "Segmentation fau"));
  ASSERT_TRUE(wait_gone());
}

TEST_F(ShimOutput, Port_IsReportedAtOnceAndToLaterAgents) {
  start(order({"print:INFO:     Uvicorn running on http://0.0.0.0:8123 (Press CTRL+C to quit)", "pause"}));
  EXPECT_TRUE(wait([this] { return seen.port().has_value(); }));
  EXPECT_EQ(seen.port(), 8123);
}

TEST_F(ShimOutput, LineReports_AreAtMostTwoASecond) {
  const TimePoint before = steady_now();
  start(order({"chatter"}));
  ASSERT_TRUE(wait([this] { return seen.lines.size() >= 4; }, 30s));
  EXPECT_GE(steady_now() - before, (seen.lines.size() - 1) * 500ms);
  EXPECT_EQ(seen.lines.back().last_line, "chatter");
}

TEST_F(ShimOutput, Flood_LosesNothingDelaysNoOrderAndTakesNoMemory) {
  LaunchOrder made = order({"flood:100", "print:ready", "chatter"});
  made.log_max_bytes = 50'000'000;
  start(made);
  std::uint64_t most_pages = 0;
  const auto look = [&] {
    if (const auto facts = facts_of(seen.run->shim)) most_pages = std::max(most_pages, facts->rss_pages);
    return log_end().find("out ready") != std::string::npos;
  };
  ASSERT_TRUE(wait(look, test::patience(120s)));
  const std::uint64_t before = facts_of(seen.run->shim)->rss_pages;
  EXPECT_LT(most_pages, before + 1024) << "pages of 4 KiB";
  client->stop(5s);
  ASSERT_TRUE(wait_gone());
  EXPECT_EQ(seen.gone->lines_lost, 0U);
}

TEST_F(ShimOutput, Flood_OrdersAreHeardMeanwhile) {
  start(order({"print:ready", "flood:100000"}));
  ASSERT_TRUE(wait_log("out ready"));
  const TimePoint before = steady_now();
  client->stop(10s);
  ASSERT_TRUE(wait_gone());
  EXPECT_LT(steady_now() - before, 5s);
}

TEST_F(ShimOutput, LineOf10MiB_IsCutAndTheEngineGoesOn) {
  start(order({"endless:10", "print:", "print:after", "exit:5"}));
  ASSERT_TRUE(wait_gone());
  const ExitOutcome outcome = seen.exits.front();
  EXPECT_EQ(outcome.value, 5);
  EXPECT_THAT(outcome.last_lines, Contains("after"));
  EXPECT_THAT(log(), HasSubstr("x[cut]\n"));
  EXPECT_LT(log().size(), 20'000U);
}

TEST_F(ShimOutput, FullDisk_OnlyCountsLines) {
  LaunchOrder made = order({"print:one", "print:two", "exit:0"});
  made.log_file = "/dev/full";
  start(made);
  ASSERT_TRUE(wait_gone());
  EXPECT_GE(seen.gone->lines_lost, 2U);
  EXPECT_EQ(seen.exits.front().value, 0);
}

TEST_F(ShimOutput, FullDisk_IsToldWhileTheRunLasts_AndItsEndToo) {
  LaunchOrder made = order({"chatter"});
  const std::string path = made.log_file;
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  ASSERT_TRUE(launch(made).has_value());
  ASSERT_TRUE(wait_log("out chatter"));
  EXPECT_FALSE(wait([this] { return !seen.lines.empty() && seen.lines.back().lines_lost > 0; }, 600ms));
  std::filesystem::remove(path);
  std::filesystem::create_symlink("/dev/full", path);
  client->reopen_log();
  ASSERT_TRUE(wait([this] { return seen.lines.back().log_failing; }));
  const std::size_t reports = seen.lines.size();
  const TimePoint since = steady_now();
  ASSERT_FALSE(wait([] { return false; }, 1200ms));
  const auto halves = static_cast<std::size_t>((steady_now() - since) / 500ms);
  EXPECT_LE(seen.lines.size(), reports + halves + 2) << "at most two a second";
  EXPECT_GE(seen.lines.back().lines_lost, 2U);
  std::filesystem::remove(path);
  client->reopen_log();
  ASSERT_TRUE(wait([this] { return !seen.lines.back().log_failing; }));
  EXPECT_GE(seen.lines.back().lines_lost, 2U) << "what is lost stays lost";
  client->stop(5s);
  ASSERT_TRUE(wait_gone());
  EXPECT_GE(seen.gone->lines_lost, seen.lines.back().lines_lost);
}

TEST_F(ShimOutput, FullDisk_IsToldThoughTheEngineSaysNothing) {
  LaunchOrder made = order({"pause"});
  made.log_file = "/dev/full";
  start(made);
  EXPECT_TRUE(wait([this] { return !seen.lines.empty() && seen.lines.back().log_failing; })) << "by our own lines";
}

TEST_F(ShimOutput, SettledPort_IsNotChangedByWhatIsPrintedLater) {
  // The second line comes when the file appears.
  start(order({"print:Uvicorn running on http://0.0.0.0:8123", "print:ready", "await:" + folder.path("go"),
               "print:Uvicorn running on http://0.0.0.0:22", "print:said", "pause"}));
  ASSERT_TRUE(wait([this] { return seen.port().has_value(); }));
  client->settle_port(8123);
  ASSERT_FALSE(wait([] { return false; }, 50ms));
  folder.write("go", "");
  ASSERT_TRUE(wait_log("out said"));
  ASSERT_FALSE(wait([] { return false; }, 600ms));
  EXPECT_EQ(seen.port(), 8123);
}

TEST_F(ShimOutput, ReopenOrder_FollowsLogrotate) {
  start(order({"print:ready", "chatter"}));
  ASSERT_TRUE(wait_log("out ready"));
  std::filesystem::rename(folder.path("logs/toy.log"), folder.path("logs/moved"));
  client->reopen_log();
  EXPECT_TRUE(wait_log("out chatter"));
}

}  // namespace
}  // namespace svc::agent
