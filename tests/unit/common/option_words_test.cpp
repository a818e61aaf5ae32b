// The kinds for programs (words, variables), further names of flags, and the record of what was given.
#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "common/core/option_table.hpp"
#include "tests/unit/common/messages.hpp"

namespace svc {
namespace {

using nlohmann::json;
using test::message;
using Words = std::vector<std::string>;
using Map = OptionTable::TextMap;

struct WordSettings {
  Words args;
  Map env;
  int port = 1;
};

OptionTable table_for(WordSettings& settings) {
  OptionTable table("agent", "AGENT");
  table.word_list("args", settings.args, "Words.")
      .environment("env", settings.env, "Variables.")
      .integer("port", settings.port, 1, 9, "Port.")
      .alias("port", "-p", "")
      .alias("port", "--old-port", "OLD_PORT");
  return table;
}

TEST(OptionWords, Words_AreSplitFromTextAndWholeInAnArray) {
  WordSettings settings;
  OptionTable table = table_for(settings);
  EXPECT_EQ(table.options()[0].kind, "words");
  EXPECT_EQ(message(table.set("args", "a 'b c' ''", "--args")), "");
  EXPECT_EQ(settings.args, (Words{"a", "b c", ""}));
  EXPECT_EQ(message(table.read_json(json{{"args", {"a b", "", "c\nd"}}})), "");
  EXPECT_EQ(settings.args, (Words{"a b", "", "c\nd"}));
  EXPECT_EQ(table.values()["args"], nlohmann::ordered_json({"a b", "", "c\nd"}));
  EXPECT_EQ(message(table.read_json(json{{"args", "x 'y z'"}})), "");
  EXPECT_EQ(settings.args, (Words{"x", "y z"}));
  EXPECT_EQ(message(table.set("args", "", "--args")), "");
  EXPECT_EQ(settings.args, Words{});
}

TEST(OptionWords, BadWords_AreNamedAndChangeNothing) {
  WordSettings settings;
  settings.args = {"a"};
  OptionTable table = table_for(settings);
  EXPECT_EQ(message(table.set("args", "'a", "--args")), "'--args' has an open quote");
  EXPECT_EQ(message(table.read_json(json{{"args", "a\\"}})), "'agent.args' ends in a backslash");
  EXPECT_EQ(message(table.read_json(json{{"args", {1}}})), "'agent.args[0]' must be a string, got 1");
  EXPECT_NE(message(table.read_json(json{{"args", 5}})), "");
  EXPECT_EQ(settings.args, Words{"a"});
}

TEST(OptionWords, Variables_BeginWithANameOnly) {
  struct Row {
    std::string text;
    Map env;
  };
  const Row rows[] = {
      {"", {}},
      {"A=1", {{"A", "1"}}},
      {"A=1,B=2", {{"A", "1"}, {"B", "2"}}},
      {"CUDA_VISIBLE_DEVICES=0,1", {{"CUDA_VISIBLE_DEVICES", "0,1"}}},
      {"GPUS=0,1,B=x,y", {{"GPUS", "0,1"}, {"B", "x,y"}}},
      {" A=1, B=2", {{"A", "1"}, {"B", "2"}}},
      {"A=", {{"A", ""}}},
      {"A=,B=", {{"A", ""}, {"B", ""}}},
      {"A=b=c", {{"A", "b=c"}}},
      {"A=1,2B=3", {{"A", "1,2B=3"}}},
      {"A=x,", {{"A", "x,"}}},
      {"_a1=x y", {{"_a1", "x y"}}},
  };
  for (const Row& row : rows) {
    WordSettings settings;
    OptionTable table = table_for(settings);
    EXPECT_EQ(message(table.set("env", row.text, "--env")), "") << row.text;
    EXPECT_EQ(settings.env, row.env) << row.text;
  }
}

TEST(OptionWords, Variables_AddToWhatIsThere) {
  WordSettings settings;
  OptionTable table = table_for(settings);
  EXPECT_EQ(message(table.read_json(json{{"env", {{"A", "1"}, {"B", "0,C=1"}}}})), "");
  EXPECT_EQ(message(table.set("env", "A=2,D=3", "--env")), "");
  EXPECT_EQ(settings.env, (Map{{"A", "2"}, {"B", "0,C=1"}, {"D", "3"}}));
  EXPECT_EQ(table.values()["env"], nlohmann::ordered_json({{"A", "2"}, {"B", "0,C=1"}, {"D", "3"}}));
}

TEST(OptionWords, BadVariables_AreNamedAndChangeNothing) {
  WordSettings settings;
  OptionTable table = table_for(settings);
  for (const char* text : {"A", "=1", "1A=2", "A B=1", ",A=1"}) {
    EXPECT_EQ(message(table.set("env", text, "--env")), "'--env' must begin with NAME=") << text;
  }
  EXPECT_EQ(message(table.read_json(json{{"env", {{"A", 1}}}})), "'agent.env.A' must be a string, got 1");
  EXPECT_EQ(message(table.read_json(json{{"env", {{"A=B", "1"}}}})),
            "'agent.env.A=B' must be named with letters, digits and '_'");
  EXPECT_NE(message(table.read_json(json{{"env", {"A"}}})), "");
  EXPECT_TRUE(settings.env.empty());
}

TEST(OptionTableAliases, Names_AddUp) {
  WordSettings settings;
  OptionTable table = table_for(settings);
  EXPECT_EQ(table.options()[2].flag_aliases, (Words{"-p", "--old-port"}));
  EXPECT_EQ(table.options()[2].env_alias, "OLD_PORT");
}

TEST(OptionTableRecord, Overrides_DoTheSameOnAnotherTable) {
  WordSettings first;
  OptionTable table = table_for(first);
  EXPECT_EQ(message(table.read_json(json{{"port", 2}})), "");
  EXPECT_TRUE(table.overrides().empty());
  const std::map<std::string, std::string> variables = {{"AGENT_ARGS", "x"}, {"OLD_PORT", "3"}};
  EXPECT_EQ(message(table.read_env([&](const std::string& name) -> std::optional<std::string> {
              const auto found = variables.find(name);
              return found == variables.end() ? std::nullopt : std::make_optional(found->second);
            })),
            "");
  EXPECT_EQ(message(table.set("port", "4", "--port")), "");
  EXPECT_NE(message(table.set("port", "x", "--port")), "");

  WordSettings second;
  OptionTable other = table_for(second);
  std::string origins;
  for (const auto& [key, text, origin] : table.overrides()) {
    EXPECT_EQ(message(other.set(key, text, origin)), "");
    origins += origin + " ";
  }
  EXPECT_EQ(origins, "AGENT_ARGS OLD_PORT --port ");
  EXPECT_EQ(second.port, 4);
  EXPECT_EQ(second.args, Words{"x"});
}

TEST(OptionTablePlaces, Messages_NameThePlaceOfTheUser) {
  WordSettings settings;
  OptionTable table = table_for(settings);
  const OptionTable::KeyPlaces places = {{"port", "port"}, {"args", "backend.args"}, {"env", "backend.env"}};
  EXPECT_EQ(message(table.read_json(json{{"port", 0}}, places)), "'port' must be an integer from 1 to 9, got 0");
  EXPECT_EQ(message(table.read_json(json{{"args", {1}}}, places)), "'backend.args[0]' must be a string, got 1");
  EXPECT_EQ(message(table.read_json(json{{"args", "'"}}, places)), "'backend.args' has an open quote");
  EXPECT_EQ(message(table.read_json(json{{"env", {{"A", 1}}}}, places)), "'backend.env.A' must be a string, got 1");
  EXPECT_EQ(message(table.read_json(json{{"ports", 1}}, places)), "unknown key 'agent.ports'; did you mean 'port'?");
}

}  // namespace
}  // namespace svc
