#include "ctl/core/fleet_status.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "ctl/core/status_codec.hpp"

namespace svc::ctl {
namespace {

using nlohmann::json;

const char* const kAgentEntry = R"({"name":"gpu1","host":"10.0.0.1","port":5002,"status":"running","is_healthy":true,
  "health_status":"healthy","metadata":{"type":"infinilm","restarts":2}})";
const char* const kEngineEntry =
    R"({"name":"gpu1-server","host":"10.0.0.1","port":5001,"status":"running","is_healthy":true,
  "health_status":"healthy","weight":2,"models":["Qwen3-32B"],"metadata":{"type":"openai-api","parent_service":"gpu1"}})";
const char* const kRouted =
    R"({"name":"gpu1-server","host":"10.0.0.1","port":5001,"state":"up","healthy":true,"in_flight":3,
  "request_count":12,"error_count":1,"weight":2,"models":["Qwen3-32B"],"answers":{"2xx":11},
  "ttft_seconds":{"p50":0.1,"p95":0.4}})";

std::string list(std::initializer_list<std::string> items) {
  std::string out;
  for (const std::string& item : items) out.append(out.empty() ? "" : ",").append(item);
  return R"({"services":[)" + out + "]}";
}

std::string with(const char* text, const char* key, const json& value) {
  json object = json::parse(text);
  object[key] = value;
  return object.dump();
}

PartAnswers part(DaemonKind kind, const std::string& name, std::uint16_t port) {
  PartAnswers answers;
  answers.part.kind = kind;
  answers.part.name = answers.part.id = name;
  answers.part.here = true;
  answers.part.port = port;
  answers.pid = 100;
  answers.uptime_seconds = 5;
  return answers;
}

/// One machine where all is well.
FleetAnswers well() {
  FleetAnswers fleet;
  auto registry = part(DaemonKind::registry, "registry", 8081);
  registry.health = {
      200,
      R"({"status":"healthy","registry":"running","registered_services":2,"healthy_services":2,"uptime":61,
                         "store":{"state":"ok"}})",
      ""};
  auto router = part(DaemonKind::router, "router", 8080);
  router.health = {200,
                   R"({"status":"healthy","router":"running","healthy_services":"1/1","registry_state":"watching",
                       "uptime":60})",
                   ""};
  auto agent = part(DaemonKind::service, "gpu1", 5002);
  agent.health = {200, R"({"status":"healthy","service":"gpu1"})", ""};
  agent.detail = {
      200, R"({"name":"gpu1","state":"running","status":"running","restarts":4,"uptime":50,"models":["Qwen3-32B"]})",
      ""};
  fleet.parts = {registry, router, agent};
  fleet.registry_url = "http://127.0.0.1:8081";
  fleet.registry_health = registry.health;
  fleet.registry_services = {200, list({kAgentEntry, kEngineEntry}), ""};
  fleet.registry_stats = {200, R"({"expected_missing":[]})", ""};
  fleet.router_url = "http://127.0.0.1:8080";
  fleet.router_known = true;
  fleet.router_health = router.health;
  fleet.router_stats = {200, list({kRouted}), ""};
  return fleet;
}

const ServiceRow& row(const FleetStatus& fleet, const std::string& name) {
  const auto found = std::find_if(fleet.services.begin(), fleet.services.end(),
                                  [&name](const ServiceRow& each) { return each.name == name; });
  static const ServiceRow kNone;
  return found == fleet.services.end() ? kNone : *found;
}

TEST(FleetStatus, AllIsWell_SaysSo) {
  const FleetStatus fleet = judge_fleet(well());
  EXPECT_TRUE(fleet.ok()) << fleet.problems.front();
  ASSERT_EQ(fleet.daemons.size(), 3U);
  EXPECT_EQ(fleet.daemons[0].health, "healthy, 2/2 entries healthy");
  EXPECT_EQ(fleet.daemons[0].uptime_seconds, 61);
  EXPECT_EQ(fleet.daemons[1].health, "healthy, 1/1 instances usable, registry watching");
  EXPECT_EQ(fleet.daemons[2].health, "running");
  ASSERT_EQ(fleet.services.size(), 1U) << "the agent's two entries are one service";
  const ServiceRow& gpu1 = fleet.services[0];
  EXPECT_EQ(gpu1.name, "gpu1");
  EXPECT_EQ(gpu1.port, 5001);
  EXPECT_EQ(gpu1.state, "running");
  EXPECT_EQ(gpu1.routing, "up");
  EXPECT_EQ(gpu1.weight, 2);
  EXPECT_EQ(gpu1.in_flight, 3);
  EXPECT_EQ(gpu1.requests, 12);
  EXPECT_EQ(gpu1.errors, 1);
  EXPECT_EQ(gpu1.ttft_p50_seconds, 0.1);
  EXPECT_EQ(gpu1.ttft_p95_seconds, 0.4);
  EXPECT_EQ(gpu1.restarts, 4) << "the agent itself knows it best";
}

TEST(FleetStatus, Json_HasTheSame) {
  const json status = json::parse(status_json(judge_fleet(well()), WallTime{}));
  EXPECT_EQ(status["ok"], true);
  EXPECT_EQ(status["timestamp"], "1970-01-01T00:00:00.000000Z");
  EXPECT_EQ(status["daemons"][2]["name"], "gpu1");
  EXPECT_EQ(status["daemons"][2]["pid"], 100);
  EXPECT_EQ(status["daemons"][0]["elsewhere"], nullptr);
  EXPECT_EQ(status["services"][0]["ttft_p95_seconds"], 0.4);
  EXPECT_EQ(status["services"][0]["router_state"], "up");
  EXPECT_EQ(status["problems"], json::array());
}

TEST(FleetStatus, PartThatDoesNotRun_IsAProblem) {
  FleetAnswers answers = well();
  answers.parts[0].pid.reset();
  answers.parts[0].health = {0, "", "nothing listens on 127.0.0.1:8081"};
  answers.registry_health = answers.registry_services = answers.registry_stats = {0, "", "nothing listens"};
  const FleetStatus fleet = judge_fleet(answers);
  EXPECT_EQ(fleet.problems, std::vector<std::string>{"registry: not started"});
  ASSERT_EQ(fleet.services.size(), 1U) << "the router and the agent still know it";
  EXPECT_EQ(fleet.services[0].name, "gpu1");
  EXPECT_EQ(fleet.services[0].routing, "up");
}

TEST(FleetStatus, PartThatSomebodyElseStarted_HasItsPidAndNothingElseNew) {
  FleetAnswers answers = well();
  answers.parts[0].pid.reset();
  answers.parts[0].listener = 321;
  FleetStatus fleet = judge_fleet(answers);
  EXPECT_TRUE(fleet.ok());
  EXPECT_EQ(fleet.daemons[0].pid, 321);
  EXPECT_EQ(fleet.daemons[0].health, "healthy, 2/2 entries healthy");
  answers.parts[0].health = {0, "", "127.0.0.1:8081 did not answer in time"};
  EXPECT_EQ(judge_fleet(answers).problems[0], "registry: no answer: 127.0.0.1:8081 did not answer in time");
  answers.parts[0].part.problem = "parse: bad";
  fleet = judge_fleet(answers);
  EXPECT_EQ(fleet.problems[0], "registry: cannot be started: parse: bad");
  EXPECT_EQ(fleet.daemons[0].pid, 321);
}

TEST(FleetStatus, PartThatCannotBeStarted_SaysWhy) {
  FleetAnswers answers = well();
  answers.parts[1].pid.reset();
  answers.parts[1].part.problem = "parse: /c/router_config.json: unknown key 'router.prot'";
  answers.parts[1].health = {0, "", "nothing listens"};
  const FleetStatus fleet = judge_fleet(answers);
  ASSERT_FALSE(fleet.ok());
  EXPECT_EQ(fleet.problems[0], "router: cannot be started: parse: /c/router_config.json: unknown key 'router.prot'");
}

TEST(FleetStatus, DaemonThatHangs_IsAProblem) {
  FleetAnswers answers = well();
  answers.parts[1].health = {0, "", "127.0.0.1:8080 did not answer in time"};
  answers.router_health = answers.parts[1].health;
  answers.router_stats = answers.parts[1].health;
  const FleetStatus fleet = judge_fleet(answers);
  EXPECT_EQ(fleet.problems, std::vector<std::string>{"router: no answer: 127.0.0.1:8080 did not answer in time"});
}

TEST(FleetStatus, TroubleOfADaemon_IsNamed) {
  FleetAnswers answers = well();
  answers.parts[0].health.body = R"({"status":"healthy","registry":"running","store":{"state":"failing"},
                                     "removal":{"on_hold":true},"warming":true})";
  answers.parts[1].health.body = R"({"status":"running","router":"running","healthy_services":"0/1",
                                     "registry_state":"unreachable","panic":true})";
  const FleetStatus fleet = judge_fleet(answers);
  ASSERT_EQ(fleet.problems.size(), 2U);
  EXPECT_EQ(fleet.problems[0], "registry: healthy, warming, removal is on hold, its store fails");
  EXPECT_EQ(fleet.problems[1], "router: running, 0/1 instances usable, registry unreachable, panic");
}

TEST(FleetStatus, StrangerOnThePort_IsNotTakenForTheDaemon) {
  FleetAnswers answers = well();
  answers.parts[0].pid.reset();
  answers.parts[0].health = {200, "<html>", ""};
  EXPECT_EQ(judge_fleet(answers).problems[0], "registry: what answers there is no registry");
}

TEST(FleetStatus, RegistryElsewhere_IsShownWithItsAddress) {
  FleetAnswers answers = well();
  answers.parts.erase(answers.parts.begin(), answers.parts.begin() + 2);
  answers.registry_url = "http://192.168.1.100:8081";
  answers.router_url = "http://192.168.1.100:8080";
  answers.router_known = false;
  FleetStatus fleet = judge_fleet(answers);
  EXPECT_TRUE(fleet.ok());
  ASSERT_EQ(fleet.daemons.size(), 3U);
  EXPECT_EQ(fleet.daemons[0].address, "192.168.1.100:8081");
  EXPECT_EQ(fleet.daemons[1].address, "192.168.1.100:8080");

  answers.router_health = answers.router_stats = {0, "", "nothing listens"};
  fleet = judge_fleet(answers);
  EXPECT_TRUE(fleet.ok()) << "the router there was a guess";
  EXPECT_EQ(fleet.daemons.size(), 2U);
  answers.router_known = true;
  EXPECT_FALSE(judge_fleet(answers).ok());
}

TEST(ServiceRows, EngineThatLoads_IsItsAgentsEntry) {
  FleetAnswers answers = well();
  answers.parts.pop_back();
  answers.router_stats = {200, list({}), ""};
  answers.registry_services = {200, list({with(kAgentEntry, "status", "starting")}), ""};
  FleetStatus fleet = judge_fleet(answers);
  ASSERT_EQ(fleet.services.size(), 1U);
  EXPECT_EQ(row(fleet, "gpu1").state, "starting");
  EXPECT_EQ(row(fleet, "gpu1").port, 5001);
  EXPECT_EQ(row(fleet, "gpu1").restarts, 2);
  EXPECT_EQ(fleet.problems, std::vector<std::string>{"service gpu1: starting"});
}

TEST(ServiceRows, UnhealthyAlthoughRunning_SaysWhy) {
  const auto state_with = [](const char* health) {
    FleetAnswers answers = well();
    answers.parts.pop_back();
    json engine = json::parse(kEngineEntry);
    engine["is_healthy"] = false;
    engine["health_status"] = health;
    answers.registry_services = {200, list({kAgentEntry, engine.dump()}), ""};
    return row(judge_fleet(answers), "gpu1").state;
  };
  EXPECT_EQ(state_with("unhealthy"), "fails its probes");
  EXPECT_EQ(state_with("healthy"), "no heartbeats");
}

TEST(ServiceRows, LastExit_IsToldOfWhatDoesNotWork) {
  FleetAnswers answers = well();
  answers.parts.pop_back();
  json agent = json::parse(kAgentEntry);
  agent["metadata"]["last_exit"] = {{"text", "signal 9 (SIGKILL)"}};
  json engine = json::parse(with(kEngineEntry, "status", "unhealthy"));
  engine["is_healthy"] = false;
  answers.registry_services = {200, list({agent.dump(), engine.dump()}), ""};
  EXPECT_EQ(row(judge_fleet(answers), "gpu1").state, "unhealthy, ended: signal 9 (SIGKILL)");
}

TEST(ServiceRows, RouterThatDoesNotUseIt_IsAProblem) {
  FleetAnswers answers = well();
  answers.router_stats = {200, list({with(kRouted, "state", "ejected")}), ""};
  answers.router_stats.body = list({[] {
    json routed = json::parse(kRouted);
    routed["state"] = "ejected";
    routed["healthy"] = false;
    return routed.dump();
  }()});
  EXPECT_EQ(judge_fleet(answers).problems, std::vector<std::string>{"service gpu1: running, for the router ejected"});
  answers.router_stats.body = list({});
  EXPECT_EQ(judge_fleet(answers).problems,
            std::vector<std::string>{"service gpu1: running, for the router unknown to it"});
}

TEST(NotUsedYet, ServiceThatTheRouterDoesNotSendTo_IsNamed) {
  using Names = std::vector<std::string>;
  FleetAnswers answers = well();
  EXPECT_EQ(not_used_yet(judge_fleet(answers), {"gpu1"}), Names{});
  answers.router_stats.body = list({});
  EXPECT_EQ(not_used_yet(judge_fleet(answers), {"gpu1"}), Names{"gpu1 (running, for the router unknown to it)"});
  EXPECT_EQ(not_used_yet(judge_fleet(answers), {"gpu2"}), Names{}) << "another one's trouble";
  json routed = json::parse(kRouted);
  routed["state"] = "down";
  routed["healthy"] = false;
  answers.router_stats.body = list({routed.dump()});
  EXPECT_EQ(not_used_yet(judge_fleet(answers), {"gpu1"}), Names{"gpu1 (running, for the router down)"});
}

TEST(NotUsedYet, WhereThereIsNothingToWaitFor_IsEmpty) {
  FleetAnswers answers = well();
  answers.router_health = answers.router_stats = {0, "", "nothing listens"};
  EXPECT_TRUE(not_used_yet(judge_fleet(answers), {"gpu1"}).empty()) << "no router runs";
  answers = well();
  answers.router_stats.body = list({});
  answers.registry_services = {200, list({}), ""};
  EXPECT_TRUE(not_used_yet(judge_fleet(answers), {"gpu1"}).empty()) << "it registers at another registry";
  json other = json::parse(kEngineEntry);
  other["metadata"]["type"] = "speech";
  answers.registry_services = {200, list({kAgentEntry, other.dump()}), ""};
  EXPECT_TRUE(not_used_yet(judge_fleet(answers), {"gpu1"}).empty()) << "it is none that routers use";
}

TEST(ServiceRows, StaticService_IsTheRoutersOwn) {
  FleetAnswers answers = well();
  json spare = json::parse(kRouted);
  spare["name"] = "spare";
  spare["static"] = true;
  spare["backup"] = true;
  answers.router_stats.body = list({kRouted, spare.dump()});
  FleetStatus fleet = judge_fleet(answers);
  EXPECT_TRUE(fleet.ok());
  EXPECT_EQ(row(fleet, "spare").state, "static");
  EXPECT_TRUE(row(fleet, "spare").backup);
  spare["healthy"] = false;
  spare["state"] = "down";
  answers.router_stats.body = list({kRouted, spare.dump()});
  EXPECT_EQ(judge_fleet(answers).problems, std::vector<std::string>{"service spare: static, for the router down"});
}

TEST(ServiceRows, ExpectedAndMissing_IsAProblem) {
  FleetAnswers answers = well();
  answers.registry_stats.body = R"({"expected_missing":[{"name":"gpu9","server":"s","host":"10.0.0.9"}]})";
  const FleetStatus fleet = judge_fleet(answers);
  EXPECT_EQ(row(fleet, "gpu9").host, "10.0.0.9");
  EXPECT_EQ(fleet.problems, std::vector<std::string>{"service gpu9: not registered"});
}

TEST(ServiceRows, OwnServiceThatIsNotStarted_IsAProblemTwice) {
  FleetAnswers answers = well();
  answers.parts[2].pid.reset();
  answers.parts[2].health = answers.parts[2].detail = {0, "", "nothing listens"};
  answers.registry_services = {200, list({}), ""};
  answers.router_stats = {200, list({}), ""};
  EXPECT_EQ(judge_fleet(answers).problems,
            (std::vector<std::string>{"gpu1: not started", "service gpu1: not started"}));
}

TEST(ServiceRows, FleetThatIsStopped_HasTheAddressesOfItsFiles) {
  FleetAnswers answers = well();
  answers.parts[2].pid.reset();
  answers.parts[2].part.engine_host = "10.0.0.1";
  answers.parts.push_back(part(DaemonKind::service, "dropped", 0));
  answers.parts[2].health = answers.parts[2].detail = answers.parts[3].health = {0, "", "nothing listens"};
  answers.registry_services = answers.registry_stats = answers.router_stats = {0, "", "nothing listens"};
  const FleetStatus fleet = judge_fleet(answers);
  EXPECT_EQ(row(fleet, "gpu1").host, "10.0.0.1");
  EXPECT_EQ(row(fleet, "gpu1").port, 5001);
  EXPECT_EQ(row(fleet, "dropped").host, "");
  EXPECT_EQ(row(fleet, "dropped").port, 0) << "no file says its port";
}

TEST(ServiceRows, EntryOfAnEarlierRegistry_IsReadLeniently) {
  FleetAnswers answers = well();
  answers.parts.pop_back();
  answers.router_stats = {};
  answers.registry_services = {200,
                               list({R"({"name":"old","host":"h","port":"39001","status":"running","is_healthy":true,
                                         "metadata":{"models_list":[{"id":"m1"},{"id":"m2"}]}})",
                                     R"("rubbish")", R"({"name":"x","metadata":5,"port":-1})"}),
                               ""};
  const FleetStatus fleet = judge_fleet(answers);
  EXPECT_EQ(row(fleet, "old").port, 39001);
  EXPECT_EQ(row(fleet, "old").models, (std::vector<std::string>{"m1", "m2"}));
  EXPECT_EQ(row(fleet, "x").port, 0);
}

TEST(FleetStatus, RegistryThatWantsAToken_IsSaid) {
  FleetAnswers answers = well();
  answers.registry_services = {401, R"({"error":"A bearer token is required"})", ""};
  const auto problems = judge_fleet(answers).problems;
  EXPECT_NE(
      std::find(problems.begin(), problems.end(), "the registry wants a token to list its services: --token-file"),
      problems.end());
}

TEST(FleetStatus, NothingHere_IsNoSuccess) { EXPECT_FALSE(judge_fleet({}).ok()); }

}  // namespace
}  // namespace svc::ctl
