#include "common/core/option_table.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/unit/common/messages.hpp"

namespace svc {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using test::message;

struct Settings {
  std::uint16_t port = 8081;
  double share = 0.15;
  Duration health_interval = 30s;
  std::string log_file = "logs/registry.log";
  bool strict_servers = false;
  std::string log_format = "text";
  std::vector<std::string> allow_networks{"10.0.0.0/8"};
};

OptionTable table_for(Settings& settings) {
  OptionTable table("registry", "INFINILM_REGISTRY");
  table.integer("port", settings.port, 1, 65535, "Port to listen on.")
      .number("share", settings.share, 0, 1, "Share.")
      .duration("health_interval", settings.health_interval, 1s, 1h, "Time between probes.")
      .text("log_file", settings.log_file, {0, 4096}, "Log file.")
      .flag("strict_servers", settings.strict_servers, "Only listed names.")
      .choice("log_format", settings.log_format, {"text", "json"}, "Log format.")
      .text_list("allow_networks", settings.allow_networks, "Networks.");
  return table;
}

TEST(OptionTable, Options_DescribeEachSetting) {
  Settings settings;
  const OptionTable table = table_for(settings);
  struct Row {
    std::string key, flag, env, kind, bounds, default_text;
    bool is_flag;
  };
  const Row rows[] = {
      {"port", "--port", "INFINILM_REGISTRY_PORT", "integer", "1 to 65535", "8081", false},
      {"share", "--share", "INFINILM_REGISTRY_SHARE", "number", "0 to 1", "0.15", false},
      {"health_interval", "--health-interval", "INFINILM_REGISTRY_HEALTH_INTERVAL", "duration", "1s to 1h", "30s",
       false},
      {"log_file", "--log-file", "INFINILM_REGISTRY_LOG_FILE", "text", "at most 4096 bytes", "logs/registry.log",
       false},
      {"strict_servers", "--strict-servers", "INFINILM_REGISTRY_STRICT_SERVERS", "flag", "", "false", true},
      {"log_format", "--log-format", "INFINILM_REGISTRY_LOG_FORMAT", "choice", "text, json", "text", false},
      {"allow_networks", "--allow-networks", "INFINILM_REGISTRY_ALLOW_NETWORKS", "list", "", "10.0.0.0/8", false},
  };
  ASSERT_EQ(table.options().size(), std::size(rows));
  for (std::size_t i = 0; i < std::size(rows); ++i) {
    SCOPED_TRACE(rows[i].key);
    const OptionTable::Option& option = table.options()[i];
    EXPECT_EQ(option.key, rows[i].key);
    EXPECT_EQ(option.flag, rows[i].flag);
    EXPECT_EQ(option.env, rows[i].env);
    EXPECT_EQ(option.kind, rows[i].kind);
    EXPECT_EQ(option.bounds, rows[i].bounds);
    EXPECT_EQ(option.default_text, rows[i].default_text);
    EXPECT_EQ(option.is_flag, rows[i].is_flag);
    EXPECT_FALSE(option.help.empty());
  }
}

TEST(OptionTable, ReadJson_SetsWhatIsThere) {
  Settings settings;
  OptionTable table = table_for(settings);
  const json section = json::parse(R"({"port": 18000, "health_interval": "5m", "strict_servers": true,
                                         "allow_networks": ["a", "b"], "log_file": null})");
  EXPECT_EQ(message(table.read_json(section)), "");
  EXPECT_EQ(settings.port, 18000);
  EXPECT_EQ(settings.health_interval, 5min);
  EXPECT_TRUE(settings.strict_servers);
  EXPECT_EQ(settings.allow_networks, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(settings.log_file, "logs/registry.log");
}

TEST(OptionTable, ReadJson_BadSectionsAreNamed) {
  struct Row {
    std::string section;
    std::string message;
  };
  const Row rows[] = {
      {R"({"prot": 1})", "unknown key 'registry.prot'; did you mean 'port'?"},
      {R"({"port": "abc"})", R"('registry.port' must be an integer from 1 to 65535, got "abc")"},
      {R"({"port": 0})", "'registry.port' must be an integer from 1 to 65535, got 0"},
      {R"({"share": 1.5})", "'registry.share' must be a number from 0 to 1, got 1.5"},
      {R"({"health_interval": 0})", "'registry.health_interval' must be a duration from 1s to 1h, got 0"},
      {R"({"strict_servers": "yes"})", R"('registry.strict_servers' must be true or false, got "yes")"},
      {R"({"log_format": "xml"})", R"('registry.log_format' must be one of 'text', 'json', got "xml")"},
      {R"({"allow_networks": "10.0.0.0/8"})",
       R"('registry.allow_networks' must be an array of strings, got "10.0.0.0/8")"},
      {R"({"log_file": "a\nb"})", "'registry.log_file' must not have control characters"},
      {R"([])", "'registry' must be an object, got an array"},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.section);
    Settings settings;
    OptionTable table = table_for(settings);
    EXPECT_EQ(message(table.read_json(json::parse(row.section))), row.message);
  }
}

Result<void> read_variables(OptionTable& table, const std::map<std::string, std::string>& variables) {
  return table.read_env([&](const std::string& name) -> std::optional<std::string> {
    const auto found = variables.find(name);
    if (found == variables.end()) return std::nullopt;
    return found->second;
  });
}

TEST(OptionTable, ReadEnv_SetsWhatIsThere) {
  Settings settings;
  OptionTable table = table_for(settings);
  EXPECT_EQ(message(read_variables(table, {{"INFINILM_REGISTRY_PORT", "18000"},
                                           {"INFINILM_REGISTRY_STRICT_SERVERS", "On"},
                                           {"INFINILM_REGISTRY_LOG_FILE", ""},
                                           {"INFINILM_ROUTER_PORT", "x"}})),
            "");
  EXPECT_EQ(settings.port, 18000);
  EXPECT_TRUE(settings.strict_servers);
  EXPECT_EQ(settings.log_file, "logs/registry.log");
}

TEST(OptionTable, ReadEnv_ErrorNamesTheVariable) {
  Settings settings;
  OptionTable table = table_for(settings);
  EXPECT_EQ(message(read_variables(table, {{"INFINILM_REGISTRY_PORT", "abc"}})),
            R"('INFINILM_REGISTRY_PORT' must be an integer from 1 to 65535, got "abc")");
}

TEST(OptionTable, Set_ReadsEveryKindFromText) {
  Settings settings;
  OptionTable table = table_for(settings);
  EXPECT_EQ(message(table.set("port", "9000", "--port")), "");
  EXPECT_EQ(message(table.set("share", "0.5", "--share")), "");
  EXPECT_EQ(message(table.set("health_interval", "90", "--health-interval")), "");
  EXPECT_EQ(message(table.set("log_file", "", "--log-file")), "");
  EXPECT_EQ(message(table.set("log_format", "json", "--log-format")), "");
  EXPECT_EQ(message(table.set("allow_networks", "a, b ,c", "--allow-networks")), "");
  EXPECT_EQ(settings.port, 9000);
  EXPECT_EQ(settings.share, 0.5);
  EXPECT_EQ(settings.health_interval, 90s);
  EXPECT_EQ(settings.log_file, "");
  EXPECT_EQ(settings.log_format, "json");
  EXPECT_EQ(settings.allow_networks, (std::vector<std::string>{"a", "b", "c"}));
  EXPECT_EQ(message(table.set("allow_networks", " ", "--allow-networks")), "");
  EXPECT_TRUE(settings.allow_networks.empty());
}

TEST(OptionTable, Set_FlagWords) {
  Settings settings;
  OptionTable table = table_for(settings);
  for (const char* word : {"true", "YES", "on", "1"}) {
    settings.strict_servers = false;
    EXPECT_EQ(message(table.set("strict_servers", word, "--strict-servers")), "");
    EXPECT_TRUE(settings.strict_servers) << word;
  }
  for (const char* word : {"false", "No", "off", "0"}) {
    settings.strict_servers = true;
    EXPECT_EQ(message(table.set("strict_servers", word, "--strict-servers")), "");
    EXPECT_FALSE(settings.strict_servers) << word;
  }
}

TEST(OptionTable, Set_BadTextIsNamed) {
  struct Row {
    std::string key, text, origin, message;
  };
  const Row rows[] = {
      {"port", "abc", "--port", R"('--port' must be an integer from 1 to 65535, got "abc")"},
      {"port", "", "--port", R"('--port' must be an integer from 1 to 65535, got "")"},
      {"port", "80x", "--port", R"('--port' must be an integer from 1 to 65535, got "80x")"},
      {"port", " 80", "--port", R"('--port' must be an integer from 1 to 65535, got " 80")"},
      {"port", "0x50", "--port", R"('--port' must be an integer from 1 to 65535, got "0x50")"},
      {"port", "65536", "--port", "'--port' must be an integer from 1 to 65535, got 65536"},
      {"port", "99999999999999999999", "--port",
       R"('--port' must be an integer from 1 to 65535, got "99999999999999999999")"},
      {"share", "nan", "--share", R"('--share' must be a number from 0 to 1, got "nan")"},
      {"share", "inf", "--share", R"('--share' must be a number from 0 to 1, got "inf")"},
      {"share", "2", "--share", "'--share' must be a number from 0 to 1, got 2.0"},
      {"health_interval", "2h", "--health-interval",
       R"('--health-interval' must be a duration from 1s to 1h, got "2h")"},
      {"strict_servers", "maybe", "--strict-servers", R"('--strict-servers' must be true or false, got "maybe")"},
      {"log_format", "xml", "--log-format", R"('--log-format' must be one of 'text', 'json', got "xml")"},
      {"allow_networks", "a,,b", "--allow-networks", "'--allow-networks[1]' must not be empty"},
      {"log_file", "a\nb", "--log-file", "'--log-file' must not have control characters"},
      {"log_file", "\xff", "--log-file", "'--log-file' must be UTF-8 text"},
      {"prot", "1", "--prot", "unknown option '--prot'; did you mean '--port'?"},
      {"zzzzzz", "1", "--zzzzzz", "unknown option '--zzzzzz'"},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.message);
    Settings settings;
    OptionTable table = table_for(settings);
    EXPECT_EQ(message(table.set(row.key, row.text, row.origin)), row.message);
    EXPECT_EQ(settings.port, 8081);
    EXPECT_EQ(settings.log_file, "logs/registry.log");
  }
}

TEST(OptionTable, Values_ArePrintedInOrderAndReadBack) {
  Settings settings;
  settings.health_interval = 1500ms;
  const OptionTable table = table_for(settings);
  const auto values = table.values();
  EXPECT_EQ(values.dump(), R"({"port":8081,"share":0.15,"health_interval":1.5,"log_file":"logs/registry.log",)"
                           R"("strict_servers":false,"log_format":"text","allow_networks":["10.0.0.0/8"]})");
  settings.health_interval = 30s;
  EXPECT_EQ(table.values()["health_interval"].dump(), "30");

  Settings other;
  OptionTable reading = table_for(other);
  EXPECT_EQ(message(reading.read_json(json::parse(values.dump()))), "");
  EXPECT_EQ(other.health_interval, 1500ms);
}

TEST(OptionTable, LaterOrigin_Wins) {
  Settings settings;
  OptionTable table = table_for(settings);
  EXPECT_EQ(message(table.read_json(json::parse(R"({"port": 1, "share": 0.1})"))), "");
  EXPECT_EQ(message(read_variables(table, {{"INFINILM_REGISTRY_PORT", "2"}})), "");
  EXPECT_EQ(message(table.set("port", "3", "--port")), "");
  EXPECT_EQ(settings.port, 3);
  EXPECT_EQ(settings.share, 0.1);
}

struct Mapped {
  OptionTable::TextMap aliases{{"a", "b"}};
  int port = 1;
};

OptionTable table_for(Mapped& settings) {
  OptionTable table("router", "ROUTER");
  table.text_map("aliases", settings.aliases, "Names.").integer("port", settings.port, 1, 9, "Port.");
  table.alias("port", "--old-port", "OLD_PORT");
  return table;
}

TEST(OptionTable, Map_IsReadFromEveryOrigin) {
  Mapped settings;
  OptionTable table = table_for(settings);
  EXPECT_EQ(table.options()[0].default_text, "a=b");
  EXPECT_EQ(message(table.set("aliases", " x = y ,u=v=w", "--aliases")), "");
  EXPECT_EQ(settings.aliases, (OptionTable::TextMap{{"u", "v=w"}, {"x", "y"}}));
  EXPECT_EQ(table.values()["aliases"], nlohmann::ordered_json({{"u", "v=w"}, {"x", "y"}}));
  EXPECT_EQ(message(table.read_json(json{{"aliases", {{"c", "d"}}}})), "");
  EXPECT_EQ(settings.aliases, (OptionTable::TextMap{{"c", "d"}}));
  EXPECT_EQ(message(table.set("aliases", "", "--aliases")), "");
  EXPECT_TRUE(settings.aliases.empty());
}

TEST(OptionTable, Map_BadOnesAreNamedAndChangeNothing) {
  Mapped settings;
  OptionTable table = table_for(settings);
  EXPECT_EQ(message(table.set("aliases", "x", "--aliases")), "'--aliases.x' must not be empty");
  EXPECT_EQ(message(table.set("aliases", "=x", "--aliases")), "'--aliases.' must not have an empty name");
  EXPECT_EQ(message(table.read_json(json{{"aliases", {{"c", 5}}}})), "'router.aliases.c' must be a string, got 5");
  EXPECT_NE(message(table.read_json(json{{"aliases", {{"c", nullptr}}}})), "");
  EXPECT_NE(message(table.read_json(json{{"aliases", "c=d"}})), "");
  EXPECT_EQ(settings.aliases, (OptionTable::TextMap{{"a", "b"}}));
}

TEST(OptionTable, Alias_OfAVariableIsReadWhenTheOwnOneIsUnset) {
  Mapped settings;
  OptionTable table = table_for(settings);
  std::map<std::string, std::string> env = {{"OLD_PORT", "7"}};
  const auto getenv = [&env](const std::string& name) -> std::optional<std::string> {
    const auto found = env.find(name);
    return found == env.end() ? std::nullopt : std::optional(found->second);
  };
  EXPECT_EQ(message(table.read_env(getenv)), "");
  EXPECT_EQ(settings.port, 7);
  env["ROUTER_PORT"] = "3";
  EXPECT_EQ(message(table.read_env(getenv)), "");
  EXPECT_EQ(settings.port, 3);
  env = {{"OLD_PORT", "x"}};
  EXPECT_NE(message(table.read_env(getenv)).find("'OLD_PORT' must be"), std::string::npos);
}

}  // namespace
}  // namespace svc
