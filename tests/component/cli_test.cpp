#include "common/io/cli.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

#include "common/core/option_table.hpp"
#include "common/version.hpp"
#include "tests/support/temp_folder.hpp"

namespace svc {
namespace {

using test::TempFolder;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;

class Cli : public testing::Test {
 protected:
  Cli() {
    table_.integer("port", port_, 1, 65535, "TCP port to listen on")
        .duration("health_interval", health_interval_, std::chrono::seconds(1), std::chrono::hours(1),
                  "Time between two probes of one service")
        .flag("strict_servers", strict_, "Only listed servers may register")
        .text_list("allow_networks", networks_, "Networks of the hosts that may be registered");
  }

  Result<DaemonCli> parse(const std::vector<std::string>& args) {
    return parse_command_line(spec_, table_, args, env_);
  }
  std::string refusal(const std::vector<std::string>& args) {
    const auto cli = parse(args);
    return cli.has_error() ? cli.error().to_string() : "accepted";
  }
  std::vector<std::string> load(const std::vector<std::string>& args) {
    const auto cli = parse(args);
    if (cli.has_error()) return {cli.error().to_string()};
    std::vector<std::string> texts;
    for (const Error& error : load_settings(spec_, *cli, table_, read_extra_, env_)) texts.push_back(error.to_string());
    return texts;
  }

  CliSpec spec_{"infinilm-registry", "Keeps the list of services", "registry", "INFINILM_REGISTRY", {"servers"}};
  std::map<std::string, std::string> variables_;
  GetEnv env_ = [this](const std::string& name) -> std::optional<std::string> {
    const auto found = variables_.find(name);
    if (found == variables_.end()) return std::nullopt;
    return found->second;
  };
  ReadExtra read_extra_;
  int port_ = 18000;
  Duration health_interval_ = std::chrono::seconds(30);
  bool strict_ = false;
  std::vector<std::string> networks_;
  OptionTable table_{"registry", "INFINILM_REGISTRY"};
  TempFolder folder_;
};

TEST_F(Cli, Flags_AreTakenInEveryUsualForm) {
  const auto cli = parse({"--port", "8081", "--health-interval=500ms", "--strict-servers"});
  ASSERT_TRUE(cli.has_value()) << cli.error().to_string();
  EXPECT_EQ(cli->action, CliAction::run);
  EXPECT_EQ(cli->config_path, "");
  EXPECT_THAT(cli->flags,
              ElementsAre(Pair("port", "8081"), Pair("health_interval", "500ms"), Pair("strict_servers", "true")));
}

TEST_F(Cli, Switch_MayHaveAValue) {
  EXPECT_THAT(parse({"--strict-servers=off"})->flags, ElementsAre(Pair("strict_servers", "off")));
  EXPECT_THAT(parse({"--strict-servers", "false", "--port", "1"})->flags,
              ElementsAre(Pair("port", "1"), Pair("strict_servers", "false")));
  EXPECT_THAT(parse({"--strict-servers", "--port", "1"})->flags,
              ElementsAre(Pair("port", "1"), Pair("strict_servers", "true")));
}

TEST_F(Cli, RepeatedFlag_LastWins_ListsAreJoined) {
  EXPECT_THAT(parse({"--port", "1", "--port", "2"})->flags, ElementsAre(Pair("port", "2")));
  EXPECT_THAT(parse({"--allow-networks", "10.0.0.0/8,::1/128", "--allow-networks", "fd00::/8"})->flags,
              ElementsAre(Pair("allow_networks", "10.0.0.0/8,::1/128,fd00::/8")));
  EXPECT_EQ(parse({"--config", "a", "--config", "b"})->config_path, "b");
}

TEST_F(Cli, BadUse_IsOneSentenceWithTheNearestFlag) {
  EXPECT_EQ(refusal({"--prot", "80"}), "unknown flag '--prot'; did you mean '--port'?");
  EXPECT_EQ(refusal({"--prot=80"}), "unknown flag '--prot'; did you mean '--port'?");
  EXPECT_EQ(refusal({"--conifg", "f"}), "unknown flag '--conifg'; did you mean '--config'?");
  EXPECT_EQ(refusal({"--completely-different"}), "unknown flag '--completely-different'; --help lists all flags");
  EXPECT_EQ(refusal({"-x"}), "unknown flag '-x'; --help lists all flags");
  EXPECT_EQ(refusal({"start"}), "unexpected argument 'start'");
  EXPECT_EQ(refusal({"--port"}), "flag '--port' needs a value");
  EXPECT_EQ(refusal({"--port", "--strict-servers"}), "flag '--port' needs a value");
  EXPECT_EQ(refusal({"--config", "--check-config"}), "flag '--config' needs a value");
}

TEST_F(Cli, Precedence_FileThenEnvironmentThenFlags) {
  const std::string path =
      folder_.write("c.json", R"({"registry": {"port": 1, "health_interval": 2, "strict_servers": true}})");
  variables_["INFINILM_REGISTRY_PORT"] = "3";
  variables_["INFINILM_REGISTRY_HEALTH_INTERVAL"] = "4s";
  EXPECT_THAT(load({"--config", path, "--port", "5"}), ElementsAre());
  EXPECT_EQ(port_, 5);
  EXPECT_EQ(health_interval_, std::chrono::seconds(4));
  EXPECT_TRUE(strict_);
}

TEST_F(Cli, ConfigPath_ComesFromTheEnvironmentToo) {
  variables_["INFINILM_REGISTRY_CONFIG"] = folder_.write("c.json", R"({"registry": {"port": 7}})");
  EXPECT_THAT(load({}), ElementsAre());
  EXPECT_EQ(port_, 7);
  port_ = 0;
  EXPECT_THAT(load({"--config", ""}), ElementsAre());
  EXPECT_EQ(port_, 0);
}

TEST_F(Cli, Problems_AreAllFound) {
  const std::string path = folder_.write("c.json", R"({"registry": {"prot": 1}, "serverz": []})");
  variables_["INFINILM_REGISTRY_PORT"] = "many";
  const auto problems = load({"--config", path, "--strict-servers=perhaps", "--health-interval", "2d"});
  ASSERT_EQ(problems.size(), 5U) << testing::PrintToString(problems);
  EXPECT_EQ(problems[0], path + ": unknown section 'serverz'; did you mean 'servers'?");
  EXPECT_EQ(problems[1], path + ": unknown key 'registry.prot'; did you mean 'port'?");
  EXPECT_THAT(problems[2], HasSubstr("INFINILM_REGISTRY_PORT"));
  EXPECT_THAT(problems[3], HasSubstr("--health-interval"));
  EXPECT_THAT(problems[4], HasSubstr("--strict-servers"));
}

TEST_F(Cli, ExtraSection_IsReadByTheDaemon) {
  const std::string path = folder_.write("c.json", R"({"registry": {}, "servers": [1]})");
  read_extra_ = [](const nlohmann::json& file) -> Result<void> {
    if (file.at("servers").at(0).is_object()) return {};
    return invalid("'servers[0]' must be an object");
  };
  EXPECT_THAT(load({"--config", path}), ElementsAre(path + ": 'servers[0]' must be an object"));
}

TEST_F(Cli, MissingFile_IsOneProblem) {
  EXPECT_THAT(load({"--config", folder_.path("none")}),
              ElementsAre(folder_.path("none") + ": No such file or directory"));
}

TEST_F(Cli, Help_NamesEveryFlagWithBoundsDefaultAndVariable) {
  for (const char* flag : {"--help", "-h"}) {
    const auto cli = parse({flag, "--unknown"});
    ASSERT_TRUE(cli.has_value());
    EXPECT_EQ(cli->action, CliAction::print_text);
    std::string text = cli->text;
    for (const OptionTable::Option& option : table_.options()) EXPECT_THAT(text, HasSubstr("  " + option.flag + " "));
    EXPECT_THAT(text, HasSubstr("TCP port to listen on; 1 to 65535; default 18000; env INFINILM_REGISTRY_PORT"));
    EXPECT_THAT(text, HasSubstr("Configuration file, JSON or TOML; env INFINILM_REGISTRY_CONFIG"));
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 100U) << line;
  }
}

TEST_F(Cli, Version_IsPrinted) {
  EXPECT_THAT(parse({"--version"})->text, testing::StartsWith("infinilm-registry " + std::string(kVersion)));
}

TEST_F(Cli, PrintedSettings_AreAFileThatReadsBackTheSame) {
  const std::string path = folder_.write("c.json", R"({"registry": {"port": 9}, "servers": [{"name": "a"}], "_x": 1})");
  const std::vector<std::string> args = {"--config", path, "--health-interval", "1500ms", "--allow-networks", "a,b"};
  EXPECT_THAT(load(args), ElementsAre());
  const std::string printed = print_settings(spec_, parse(args).value(), table_);
  const auto file = nlohmann::json::parse(printed);
  EXPECT_EQ(file, nlohmann::json::parse(R"({"registry": {"port": 9, "health_interval": 1.5, "strict_servers": false,
      "allow_networks": ["a", "b"]}, "servers": [{"name": "a"}]})"));
  EXPECT_TRUE(printed.ends_with("}\n"));
  EXPECT_THAT(load({"--config", folder_.write("again.json", printed)}), ElementsAre());
}

}  // namespace
}  // namespace svc
