#include "ctl/core/host_plan.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace svc::ctl {
namespace {

/// A router server: registry and router, as the files of earlier deployments.
HostFacts router_server() {
  HostFacts facts;
  facts.bin_dir = "/bin dir";
  facts.run_dir = "/run";
  facts.own_names = {"localhost", "127.0.0.1", "head", "192.168.1.100"};
  facts.registry.path = "/c/registry_config.json";
  facts.registry.states_port = true;
  facts.registry.settings.host = "0.0.0.0";
  facts.registry.settings.port = 8081;
  facts.registry.settings.log_file = "logs/registry.log";
  facts.router.path = "/c/router_config.json";
  facts.router.states_port = true;
  facts.router.settings.host = "0.0.0.0";
  facts.router.settings.port = 8080;
  facts.router.settings.registry_url = "http://192.168.1.100:8081";
  facts.router.settings.log_file = "/var/log/router.log";
  return facts;
}

ServiceFile service_file(const std::string& name, const std::string& host, std::uint16_t port) {
  ServiceFile file;
  file.entry.name = name;
  file.entry.host = host;
  file.entry.port = port;
  file.path = "/c/server1_services.json";
  file.agent.host = "0.0.0.0";
  file.agent.log_file = "logs/" + name + ".agent.log";
  file.dry_run.log_file = "logs/" + name + ".log";
  return file;
}

/// The same files on a server with engines.
HostFacts gpu_server() {
  HostFacts facts = router_server();
  facts.own_names = {"localhost", "127.0.0.1", "gpu", "192.168.1.10"};
  facts.services = {service_file("gpu1", "192.168.1.10", 5001), service_file("gpu2", "192.168.1.10", 5003)};
  return facts;
}

std::string here(const HostPlan& plan) {
  std::string names;
  for (const Part& part : plan.parts) {
    if (part.here) names += part.name + " ";
  }
  return names;
}

std::string command(const Part& part) {
  std::string line;
  for (const std::string& word : part.command) line += "[" + word + "]";
  return line;
}

TEST(HostPlan, RouterServer_RunsRegistryAndRouter) {
  const HostPlan plan = plan_host(router_server(), {});
  EXPECT_EQ(here(plan), "registry router ");
  EXPECT_EQ(plan.registry_url, "http://192.168.1.100:8081");
  EXPECT_EQ(plan.router_url, "http://127.0.0.1:8080");
  EXPECT_TRUE(plan.router_known);
  const Part& registry = plan.parts[0];
  EXPECT_EQ(registry.id, "registry");
  EXPECT_EQ(registry.url, "http://127.0.0.1:8081");
  EXPECT_EQ(registry.log_file, "/run/logs/registry.log");
  EXPECT_EQ(command(registry), "[/bin dir/infinilm-registry][--config][/c/registry_config.json][--log-stderr=false]");
  const Part& router = plan.parts[1];
  EXPECT_EQ(router.id, "distributed_router");
  EXPECT_EQ(router.log_file, "/var/log/router.log");
  EXPECT_EQ(command(router), "[/bin dir/infinilm-router][--config][/c/router_config.json][--log-stderr=false]");
}

TEST(HostPlan, GpuServerWithTheSameFiles_RunsItsServicesAlone) {
  const HostPlan plan = plan_host(gpu_server(), {});
  EXPECT_EQ(here(plan), "gpu1 gpu2 ");
  EXPECT_EQ(plan.parts[0].why, "the registry is at http://192.168.1.100:8081");
  EXPECT_EQ(plan.router_url, "http://192.168.1.100:8080") << "a guess: beside the registry";
  EXPECT_FALSE(plan.router_known);
  const Part& gpu1 = plan.parts[2];
  EXPECT_EQ(gpu1.id, "gpu1");
  EXPECT_EQ(gpu1.url, "http://127.0.0.1:5002");
  EXPECT_EQ(gpu1.port, 5002);
  EXPECT_EQ(gpu1.engine_host, "192.168.1.10");
  EXPECT_EQ(gpu1.log_file, "/run/logs/gpu1.agent.log");
  EXPECT_EQ(gpu1.engine_log, "/run/logs/gpu1.log");
  EXPECT_EQ(command(gpu1),
            "[/bin dir/infinilm-agent][--services][/c/server1_services.json][--only][gpu1][--registry]"
            "[http://192.168.1.100:8081][--log-stderr=false]");
}

TEST(HostPlan, RouterServerApart_RunsTheRouterAlone) {
  HostFacts facts = router_server();
  facts.own_names = {"localhost", "127.0.0.1", "192.168.1.99"};
  EXPECT_EQ(here(plan_host(facts, {})), "router ");
  facts.registry.path.clear();
  EXPECT_EQ(here(plan_host(facts, {})), "router ");
}

TEST(HostPlan, OneMachine_RunsAll) {
  for (const char* url : {"http://127.0.0.1:8081", "http://localhost:8081/services", ""}) {
    HostFacts facts = gpu_server();
    facts.router.settings.registry_url = url;
    EXPECT_EQ(here(plan_host(facts, {})), "registry router gpu1 gpu2 ") << url;
  }
}

TEST(HostPlan, AddressOfAnotherHost_KeepsADaemonAway) {
  HostFacts facts = router_server();
  facts.router.settings.host = "192.168.1.101";
  const HostPlan plan = plan_host(facts, {});
  EXPECT_EQ(here(plan), "registry ");
  EXPECT_EQ(plan.parts[1].why, "it listens on 192.168.1.101, which is another host's address");
}

TEST(HostPlan, WithoutFiles_NothingIsHereButAllCanBeStarted) {
  HostFacts facts;
  facts.bin_dir = "/b";
  facts.run_dir = "/run";
  HostWishes wishes;
  wishes.registry_port = 9001;
  const HostPlan plan = plan_host(facts, wishes);
  EXPECT_EQ(here(plan), "");
  EXPECT_EQ(command(plan.parts[0]), "[/b/infinilm-registry][--port][9001]");
  EXPECT_EQ(command(plan.parts[1]), "[/b/infinilm-router][--registry-url][http://127.0.0.1:9001]");
  EXPECT_EQ(plan.parts[1].port, 8080);
  EXPECT_EQ(plan.parts[0].why, "there is no registry_config.json");
}

TEST(HostPlan, PortOfTheFile_WinsAndIsSaid) {
  HostWishes wishes;
  wishes.registry_port = 9001;
  wishes.router_port = 9000;
  HostFacts facts = router_server();
  HostPlan plan = plan_host(facts, wishes);
  EXPECT_EQ(plan.parts[0].port, 8081);
  EXPECT_EQ(plan.parts[0].remark, "/c/registry_config.json says port 8081, which wins over 9001");
  facts.router.states_port = false;
  plan = plan_host(facts, wishes);
  EXPECT_EQ(plan.parts[1].port, 9000);
  EXPECT_EQ(plan.parts[1].remark, "");
  EXPECT_EQ(command(plan.parts[1]),
            "[/bin dir/infinilm-router][--config][/c/router_config.json][--port][9000][--log-stderr=false]");
  wishes.registry_port = 8081;
  EXPECT_EQ(plan_host(facts, wishes).parts[0].remark, "") << "the same port is no contradiction";
}

TEST(HostPlan, RegistryOfAService_IsItsOwnUnlessTheOperatorSaysSo) {
  HostFacts facts = gpu_server();
  facts.services[0].dry_run.registry_url = "http://other:1";
  const auto has = [](const Part& part, const std::string& word) {
    return std::find(part.command.begin(), part.command.end(), word) != part.command.end();
  };
  HostPlan plan = plan_host(facts, {});
  EXPECT_FALSE(has(plan.parts[2], "--registry"));
  EXPECT_TRUE(has(plan.parts[3], "http://192.168.1.100:8081"));
  HostWishes wishes;
  wishes.registry_url = "http://said:2";
  plan = plan_host(facts, wishes);
  EXPECT_TRUE(has(plan.parts[2], "http://said:2"));
  EXPECT_TRUE(has(plan.parts[1], "http://said:2"));
  EXPECT_EQ(plan.registry_url, "http://said:2");
}

TEST(HostPlan, ServicesFolderAlone_FindsTheRegistryThroughThem) {
  HostFacts facts = gpu_server();
  facts.registry = facts.router = {};
  EXPECT_EQ(plan_host(facts, {}).registry_url, "http://127.0.0.1:8081");
  facts.services[1].dry_run.registry_url = "http://far:8081";
  const HostPlan plan = plan_host(facts, {});
  EXPECT_EQ(plan.registry_url, "http://far:8081");
  EXPECT_EQ(here(plan), "gpu1 gpu2 ");
}

TEST(HostPlan, StaticRouter_HasNoRegistry) {
  HostFacts facts = router_server();
  facts.registry = {};
  facts.router.settings.registry_url.clear();
  const HostPlan plan = plan_host(facts, {});
  EXPECT_EQ(plan.registry_url, "");
  EXPECT_EQ(here(plan), "router ");
  EXPECT_EQ(command(plan.parts[1]), "[/bin dir/infinilm-router][--config][/c/router_config.json][--log-stderr=false]");
}

TEST(HostPlan, Tls_IsAskedForByName) {
  HostFacts facts = gpu_server();
  facts.router.settings.registry_url = "https://head.example:8081";
  facts.own_names.emplace_back("head.example");
  facts.registry.settings.tls = facts.router.settings.tls = facts.services[0].agent.tls = true;
  facts.router.settings.tls_ca = "ca.pem";
  facts.registry.settings.token_file = "/etc/tokens";
  facts.services[0].agent.token_file = "agent.tokens";
  const HostPlan plan = plan_host(facts, {});
  EXPECT_EQ(plan.parts[0].url, "https://head.example:8081");
  EXPECT_EQ(plan.parts[1].url, "https://localhost:8080");
  EXPECT_EQ(plan.parts[2].url, "https://192.168.1.10:5002");
  EXPECT_EQ(plan.parts[0].tls_ca, "/run/ca.pem");
  EXPECT_EQ(plan.parts[0].token_file, "/etc/tokens");
  EXPECT_EQ(plan.parts[2].token_file, "/run/agent.tokens");
}

TEST(HostPlan, ListeningAddress_IsWhereItIsAsked) {
  struct Row {
    std::string host, url;
  };
  for (const Row& row : {Row{"0.0.0.0", "http://127.0.0.1:8081"}, Row{"::", "http://[::1]:8081"},
                         Row{"192.168.1.100", "http://192.168.1.100:8081"}, Row{"", "http://127.0.0.1:8081"}}) {
    HostFacts facts = router_server();
    facts.registry.settings.host = row.host;
    EXPECT_EQ(plan_host(facts, {}).parts[0].url, row.url) << row.host;
  }
}

TEST(HostPlan, HostThatWasSaid_IsPassedOn) {
  HostWishes wishes;
  wishes.host = "192.168.1.10";
  const Part part = plan_host(gpu_server(), wishes).parts[2];
  EXPECT_NE(command(part).find("[--host][192.168.1.10]"), std::string::npos);
}

TEST(HostPlan, NameThatIsNoFileName_CannotBeStarted) {
  HostFacts facts = gpu_server();
  facts.services[0].entry.name = "../x";
  EXPECT_EQ(plan_host(facts, {}).parts[2].problem, "its name cannot be that of a file: '../x'");
}

TEST(HostPlan, WithoutALogFile_StderrKeepsTheLines) {
  HostFacts facts = router_server();
  facts.registry.settings.log_file.clear();
  const Part registry = plan_host(facts, {}).parts[0];
  EXPECT_EQ(registry.log_file, "");
  EXPECT_EQ(command(registry), "[/bin dir/infinilm-registry][--config][/c/registry_config.json]");
}

}  // namespace
}  // namespace svc::ctl
