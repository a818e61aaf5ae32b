#include "ctl/core/daemon_settings.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "ctl/core/dry_run_text.hpp"

namespace svc::ctl {
namespace {

using nlohmann::json;

TEST(DaemonSettings, PrintedConfiguration_IsRead) {
  const auto read = parse_daemon_settings(R"({"router": {"port": 9000, "host": "10.0.0.1", "tls_cert": "c.pem",
      "tls_ca": "ca.pem", "registry_url": "http://r:1", "registry_token_file": "t", "log_file": "logs/x.log"}})",
                                          "router");
  ASSERT_TRUE(read.has_value());
  EXPECT_EQ(read->port, 9000);
  EXPECT_EQ(read->host, "10.0.0.1");
  EXPECT_TRUE(read->tls);
  EXPECT_EQ(read->tls_ca, "ca.pem");
  EXPECT_EQ(read->token_file, "");
  EXPECT_EQ(read->registry_url, "http://r:1");
  EXPECT_EQ(read->registry_token_file, "t");
  EXPECT_EQ(read->log_file, "logs/x.log");
}

TEST(DaemonSettings, AgentsAddress_IsBind) {
  const auto read = parse_daemon_settings(R"({"agent": {"port": 0, "host": "gpu1", "bind": "::"}})", "agent");
  ASSERT_TRUE(read.has_value());
  EXPECT_EQ(read->host, "::");
  EXPECT_FALSE(read->tls);
}

TEST(DaemonSettings, SomethingElse_IsAnError) {
  for (const char* text : {"", "[]", "{}", R"({"agent": 5})", R"({"router": {}} x)"}) {
    EXPECT_FALSE(parse_daemon_settings(text, "agent").has_value()) << text;
  }
}

TEST(StatesPort, OnlyTheSectionsOwn_Counts) {
  EXPECT_TRUE(states_port(json::parse(R"({"registry": {"port": 1}})"), "registry"));
  EXPECT_FALSE(states_port(json::parse(R"({"registry": {"port": null}})"), "registry"));
  EXPECT_FALSE(states_port(json::parse(R"({"registry": {}, "router": {"port": 1}})"), "registry"));
  EXPECT_FALSE(states_port(json::parse("[]"), "registry"));
}

TEST(StaticInstances, BothForms_AreRead) {
  const char* const list =
      R"([{"name": "a", "host": "h", "port": 5001}, {"name": "b"}, 7, {"host": "x", "port": "80"}])";
  for (const std::string& text : {R"({"static_services": )" + std::string(list) + "}",
                                  R"({"static_services": {"services": )" + std::string(list) + "}}"}) {
    const auto found = static_instances(json::parse(text));
    ASSERT_EQ(found.size(), 2U);
    EXPECT_EQ(found[0].name, "a");
    EXPECT_EQ(found[0].endpoint, (Endpoint{"h", 5001}));
    EXPECT_EQ(found[1].endpoint, (Endpoint{"x", 80}));
  }
  EXPECT_TRUE(static_instances(json::parse("{}")).empty());
}

TEST(DryRun, Lines_AreTakenApart) {
  const DryRun run = parse_dry_run(
      "service gpu1 (infinilm)\n"
      "  command of rank 0: python3 -m 'x y' --port 5001\n"
      "  folder of rank 0: /opt/x\n"
      "  command of rank 1: python3 -m z\n"
      "  ready: http://localhost:5001/v1/models\n"
      "  log: logs/gpu1.log\n"
      "  registered: POST http://10.0.0.1:8081/services {\"host\":\"a/services \"}\n");
  EXPECT_EQ(run.commands, (std::vector<std::string>{"python3 -m 'x y' --port 5001", "python3 -m z"}));
  EXPECT_EQ(run.work_dir, "/opt/x");
  EXPECT_EQ(run.log_file, "logs/gpu1.log");
  EXPECT_EQ(run.registry_url, "http://10.0.0.1:8081");
  EXPECT_EQ(parse_dry_run("  registered: nowhere").registry_url, "");
  EXPECT_TRUE(parse_dry_run("  commandx: a\n  command of rank : \n\n x").commands.empty());
}

TEST(ProgramOf, FirstWord_IsTaken) {
  EXPECT_EQ(program_of("'/opt/a b/run' --x"), "/opt/a b/run");
  EXPECT_EQ(program_of(""), "");
  EXPECT_EQ(program_of("'open"), "");
}

}  // namespace
}  // namespace svc::ctl
