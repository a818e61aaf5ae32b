#include "ctl/core/readiness.hpp"

#include <gtest/gtest.h>

#include "ctl/core/daemon_pages.hpp"

namespace svc::ctl {
namespace {

const char* const kRouter =
    R"({"status":"running","router":"running","healthy_services":"0/0","registry_state":"unreachable",
  "registry_error":"nothing listens there"})";

TEST(Readiness, Registry_IsReadyWithItsHealth) {
  const char* const body = R"({"status":"healthy","registry":"running","registered_services":2})";
  EXPECT_EQ(judge_readiness(DaemonKind::registry, {200, body, "", false}).verdict, Readiness::Verdict::ready);
  EXPECT_EQ(judge_readiness(DaemonKind::registry, {503, body, "", false}).verdict, Readiness::Verdict::not_yet);
  EXPECT_EQ(judge_readiness(DaemonKind::registry, {200, "<html>", "", false}).verdict, Readiness::Verdict::failed);
  EXPECT_EQ(judge_readiness(DaemonKind::registry, {200, kRouter, "", false}).text,
            "somebody else answers there: it is no registry");
}

TEST(Readiness, Router_WaitsForItsFirstList) {
  const auto waits = judge_readiness(DaemonKind::router, {503, R"({"ready":false})", kRouter, false});
  EXPECT_EQ(waits.verdict, Readiness::Verdict::not_yet);
  EXPECT_EQ(waits.text, "waits for its first list of services: nothing listens there");
  const auto ready = judge_readiness(DaemonKind::router, {200, R"({"ready":true})", kRouter, false});
  EXPECT_EQ(ready.verdict, Readiness::Verdict::ready);
  EXPECT_EQ(ready.text, "running, 0/0 instances usable");
  EXPECT_EQ(judge_readiness(DaemonKind::router, {404, "", "", false}).verdict, Readiness::Verdict::failed);
}

TEST(Readiness, RouterThatFollowsANewRegistry_HasNothingToWaitFor) {
  const auto page = [](const char* status, const char* state) {
    return R"({"router":"running","healthy_services":"0/0","status":")" + std::string(status) +
           R"(","registry_state":")" + state + "\"}";
  };
  struct Row {
    std::string page;
    Readiness::Verdict verdict;
  };
  for (const Row& row : {Row{page("running", "watching"), Readiness::Verdict::ready},
                         Row{page("running", "polling"), Readiness::Verdict::ready},
                         Row{page("running", "connecting"), Readiness::Verdict::not_yet},
                         Row{page("running", "none"), Readiness::Verdict::not_yet},
                         Row{page("draining", "watching"), Readiness::Verdict::not_yet}}) {
    EXPECT_EQ(judge_readiness(DaemonKind::router, {503, R"({"ready":false})", row.page, false}).verdict, row.verdict)
        << row.page;
  }
}

TEST(Readiness, Service_TellsHowFarItIs) {
  const char* const health = R"({"status":"starting","service":"gpu1"})";
  const char* const status = R"({"name":"gpu1","state":"starting","state_seconds":12.7,"last_line":"Loading 3/8",
    "exits":[{"text":"exit code 3"}]})";
  auto now = judge_readiness(DaemonKind::service, {503, health, status, false});
  EXPECT_EQ(now.verdict, Readiness::Verdict::not_yet);
  EXPECT_EQ(now.text, "starting for 12s, ended before: exit code 3: Loading 3/8");
  now = judge_readiness(DaemonKind::service, {503, health, "", false});
  EXPECT_EQ(now.text, "starting") << "the status wants a token";
  now = judge_readiness(DaemonKind::service, {503, R"({"status":"failed","service":"gpu1"})", "", false});
  EXPECT_EQ(now.verdict, Readiness::Verdict::failed);
  now = judge_readiness(DaemonKind::service, {404, "Not found", "Not found", false});
  EXPECT_EQ(now.verdict, Readiness::Verdict::failed);
}

TEST(Readiness, Service_IsReadyWhenTheRegistryKnowsItIfThatIsAsked) {
  const char* const health = R"({"status":"healthy","service":"gpu1"})";
  const auto status = [](const char* registered) {
    return R"({"name":"gpu1","state":"running","registered":{"agent":true,"engine":)" + std::string(registered) + "}}";
  };
  const std::string no = status("false");
  const std::string yes = status("true");
  EXPECT_EQ(judge_readiness(DaemonKind::service, {200, health, no, false}).verdict, Readiness::Verdict::ready);
  EXPECT_EQ(judge_readiness(DaemonKind::service, {200, health, yes, true}).verdict, Readiness::Verdict::ready);
  EXPECT_EQ(judge_readiness(DaemonKind::service, {200, health, "", true}).verdict, Readiness::Verdict::ready)
      << "it cannot be known";
  const auto waits = judge_readiness(DaemonKind::service, {200, health, no, true});
  EXPECT_EQ(waits.verdict, Readiness::Verdict::not_yet);
  EXPECT_EQ(waits.text, "running, not registered yet");
}

TEST(DaemonPages, PagesOfEarlierImplementations_AreRead) {
  const auto registry = parse_registry_health(
      R"({"status": "healthy", "registry": "running", "registered_services": 3, "healthy_services": 2, "timestamp": "x"})");
  ASSERT_TRUE(registry.has_value());
  EXPECT_EQ(registry->services, 3);
  EXPECT_EQ(registry->uptime_seconds, std::nullopt);
  EXPECT_EQ(registry->store_state, "");
  const auto router = parse_router_health(
      R"({"status": "healthy", "router": "running", "healthy_services": "1/2", "registry_url": null, "message": null})");
  ASSERT_TRUE(router.has_value());
  EXPECT_EQ(router->usable_of_all, "1/2");
  const auto agent = parse_agent_status(
      R"({"status": "healthy", "service": "a", "babysitter": "enhanced", "infinilm_server_running": true})");
  ASSERT_TRUE(agent.has_value());
  EXPECT_EQ(agent->name, "a");
  EXPECT_EQ(agent->state, "");
}

TEST(DaemonPages, ValuesOfOtherKinds_CountAsAbsent) {
  const auto agent = parse_agent_status(
      R"({"name":"a","state":7,"restarts":"x","exits":{},"registered":5,"load":[],"models":[1,"m"],"up_seconds":null})");
  ASSERT_TRUE(agent.has_value());
  EXPECT_EQ(agent->state, "");
  EXPECT_EQ(agent->restarts, std::nullopt);
  EXPECT_EQ(agent->registered, std::nullopt);
  EXPECT_EQ(agent->models, std::vector<std::string>{"m"});
  for (const char* body : {"", "[]", "5", "{", "{}", "null"}) {
    EXPECT_FALSE(parse_agent_status(body).has_value()) << body;
    EXPECT_FALSE(parse_registry_health(body).has_value()) << body;
    EXPECT_FALSE(parse_router_health(body).has_value()) << body;
  }
}

}  // namespace
}  // namespace svc::ctl
