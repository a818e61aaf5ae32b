// Other forms of a configuration file: TOML, and a daemon's historic form that it turns into sections itself.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "common/core/option_table.hpp"
#include "common/io/cli.hpp"
#include "common/io/config_file.hpp"
#include "common/io/toml_text.hpp"
#include "tests/support/temp_folder.hpp"

namespace svc {
namespace {

using nlohmann::json;
using test::TempFolder;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;
using testing::StartsWith;

TEST(TomlText, EveryKind_HasItsJson) {
  const auto file = parse_toml(R"(text = "a\tb"
number = -5
share = 0.5
flag = true
list = [1, "x", [2]]
inline = {a = 1, b.c = 2}
day = 2026-11-23
time = 07:32:00
moment = 1979-05-27T07:32:00Z
many = """
two
lines"""
[table.inner]
key = 'C:\x'
[[tables]]
n = 1
[[tables]]
n = 2
)",
                               "x.toml");
  ASSERT_TRUE(file.has_value()) << file.error().to_string();
  EXPECT_EQ(*file, json::parse(R"({"text": "a\tb", "number": -5, "share": 0.5, "flag": true, "list": [1, "x", [2]],
    "inline": {"a": 1, "b": {"c": 2}}, "day": "2026-11-23", "time": "07:32:00", "moment": "1979-05-27T07:32:00Z",
    "many": "two\nlines", "table": {"inner": {"key": "C:\\x"}}, "tables": [{"n": 1}, {"n": 2}]})"));
  EXPECT_EQ(*parse_toml("", "x.toml"), json::object());
}

TEST(TomlText, Faults_NameLineAndColumn) {
  const auto fault = [](const std::string& text) {
    const auto file = parse_toml(text, "dir/x.toml");
    return file.has_error() ? file.error().to_string() : "";
  };
  EXPECT_THAT(fault("a = 1\nb = = 2\n"), StartsWith("dir/x.toml:2:5: "));
  EXPECT_THAT(fault("a = 1\na = 2\n"), StartsWith("dir/x.toml:2:"));
  EXPECT_THAT(fault("[a\n"), StartsWith("dir/x.toml:1:3: "));
  EXPECT_THAT(fault("a = \"\xff\"\n"), StartsWith("dir/x.toml:1:"));
  EXPECT_EQ(fault("a = 1\nb = [1, nan]\n"), "dir/x.toml:2:9: inf and nan are no values of a setting");
  EXPECT_EQ(fault("\n\na" + std::string(257, '.')), "dir/x.toml:3:1: more than 256 dots in a line");
}

TEST(TomlText, DeepNesting_IsAnErrorAndNotTheEndOfTheStack) {
  const std::string deep(200'000, '[');
  EXPECT_TRUE(parse_toml("a = " + deep, "x.toml").has_error());
  std::string dotted = "[a";
  for (int i = 0; i < 200'000; ++i) dotted += ".a";
  EXPECT_TRUE(parse_toml(dotted + "]\n", "x.toml").has_error());
  std::string within = "[a";
  for (int i = 0; i < 256; ++i) within += ".a";
  EXPECT_TRUE(parse_toml(within + "]\n", "x.toml").has_value());
}

TEST(ConfigFile, NameInToml_IsReadAsSuch) {
  const TempFolder folder;
  EXPECT_EQ(*read_config_file(folder.write("a.toml", "[toy]\nport = 1\n")), json::parse(R"({"toy": {"port": 1}})"));
  EXPECT_EQ(*read_config_file(folder.write("a.TOML", "x = 1\n")), json::parse(R"({"x": 1})"));
  EXPECT_TRUE(read_config_file(folder.write("a.json", "x = 1\n")).has_error());
  EXPECT_EQ(read_config_file(folder.path("none.toml")).error().to_string(),
            folder.path("none.toml") + ": No such file or directory");
  EXPECT_FALSE(is_toml_name(".toml"));
}

/// A daemon whose older files are flat.
class Forms : public testing::Test {
 protected:
  Forms() {
    spec_.config_alias = "--config-file";
    spec_.adapt = [this](json& file, const std::string& path, OptionTable::KeyPlaces& places) -> Result<void> {
      adapted_.push_back(path);
      if (file.contains("toy")) return {};
      if (file.contains("bad")) return invalid("'bad' is bad");
      places["port"] = "PORT";
      json sections = {{"toy", {{"port", file.value("PORT", json(1))}}}};
      if (file.contains("extra")) sections["extra"] = file["extra"];
      file = sections;
      return {};
    };
    table_.integer("port", port_, 1, 9, "Port.")
        .alias("port", "-p", "")
        .word_list("args", args_, "Words.")
        .environment("env", env_, "Variables.");
  }

  Result<DaemonCli> parse(const std::vector<std::string>& args) {
    return parse_command_line(spec_, table_, args, [](const std::string&) { return std::nullopt; });
  }
  std::vector<std::string> load(const std::vector<std::string>& args) {
    std::vector<std::string> texts;
    const auto none = [](const std::string&) { return std::nullopt; };
    for (const Error& error : load_settings(spec_, parse(args).value(), table_, {}, none)) {
      texts.push_back(error.to_string());
    }
    return texts;
  }

  CliSpec spec_{"toy-daemon", "A toy", "toy", "TOY", {"extra"}};
  std::vector<std::string> adapted_;
  int port_ = 5;
  std::vector<std::string> args_;
  OptionTable::TextMap env_;
  OptionTable table_{"toy", "TOY"};
  TempFolder folder_;
};

TEST_F(Forms, OlderForm_IsAdapted) {
  const std::string path = folder_.write("old.toml", "PORT = 7\n[extra]\na = 1\n");
  EXPECT_THAT(load({"--config-file", path}), ElementsAre());
  EXPECT_EQ(port_, 7);
  EXPECT_THAT(adapted_, ElementsAre(path));
  const json printed = json::parse(print_settings(spec_, parse({"--config", path}).value(), table_));
  EXPECT_EQ(printed["toy"]["port"], 7);
  EXPECT_EQ(printed["extra"], json::parse(R"({"a": 1})"));
}

TEST_F(Forms, Faults_HaveTheFilesNameAndTheUsersPlace) {
  const std::string path = folder_.write("old.toml", "PORT = 77\n");
  EXPECT_THAT(load({"--config", path}), ElementsAre(path + ": 'PORT' must be an integer from 1 to 9, got 77"));
  folder_.write("old.toml", "bad = 77\n");
  EXPECT_THAT(load({"--config", path}), ElementsAre(path + ": 'bad' is bad"));
  folder_.write("old.toml", "[toy]\nport = 77\n");
  EXPECT_THAT(load({"--config", path}), ElementsAre(path + ": 'toy.port' must be an integer from 1 to 9, got 77"));
}

TEST_F(Forms, ShortFlagsAndAliases_AreTaken) {
  EXPECT_THAT(parse({"-p", "3"})->flags, ElementsAre(Pair("port", "3")));
  EXPECT_THAT(parse({"-p3"})->flags, ElementsAre(Pair("port", "3")));
  EXPECT_EQ(parse({"--config-file=x"})->config_path, "x");
  EXPECT_EQ(parse({"--config", "x", "--config-file", "y"})->config_path, "y");
  EXPECT_EQ(parse({"-p"}).error().to_string(), "flag '--port' needs a value");
  EXPECT_EQ(parse({"--port", "-p"}).error().to_string(), "flag '--port' needs a value");
  EXPECT_EQ(parse({"--config-fil", "x"}).error().to_string(),
            "unknown flag '--config-fil'; did you mean '--config-file'?");
  const std::string help = parse({"--help"})->text;
  EXPECT_THAT(help, HasSubstr("Configuration file, JSON or TOML; also --config-file; env TOY_CONFIG"));
  EXPECT_THAT(help, HasSubstr("Port.; also -p; 1 to 9; default 5"));
}

TEST_F(Forms, RepeatedWordsAndVariables_AddUp) {
  EXPECT_THAT(load({"--args", "a 'b c'", "--args=--port", "--env", "A=1,B=0,1", "--env", "C=2"}), ElementsAre());
  EXPECT_THAT(args_, ElementsAre("a", "b c", "--port"));
  EXPECT_THAT(env_, ElementsAre(Pair("A", "1"), Pair("B", "0,1"), Pair("C", "2")));
}

TEST_F(Forms, AFlagAfterAFlag_IsTakenAsAValueOnlyWithAnEqualsSign) {
  EXPECT_EQ(parse({"--args", "--port"}).error().to_string(), "flag '--args' needs a value");
  EXPECT_THAT(parse({"--args=--port"})->flags, ElementsAre(Pair("args", "--port")));
}

}  // namespace
}  // namespace svc
