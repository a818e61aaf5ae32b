#include "common/io/log.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "common/core/option_table.hpp"
#include "common/io/log_limit.hpp"
#include "common/io/log_line.hpp"
#include "tests/support/moments.hpp"
#include "tests/support/temp_folder.hpp"

namespace svc {
namespace {

using test::TempFolder;
using testing::ElementsAre;
using testing::HasSubstr;

using test::kTime;

std::string text_line(std::string_view message, Fields fields, LogLevel level = LogLevel::info) {
  std::string out;
  append_text_line(out, kTime, level, "registry", message, fields);
  return out;
}

nlohmann::json json_line(std::string_view message, Fields fields) {
  std::string out;
  append_json_line(out, kTime, LogLevel::warn, "http", message, fields);
  EXPECT_EQ(out.find('\n'), std::string::npos);
  return nlohmann::json::parse(out);
}

TEST(LogLine, Text_HasTimeLevelLoggerMessageAndFields) {
  const std::string name = "gpu1";
  const std::uint16_t port = 8100;
  EXPECT_EQ(text_line("service registered", {{"name", name}, {"host", "10.0.0.1"}, {"port", port}}),
            "2026-11-23T12:00:00.123456Z INFO  registry: service registered name=gpu1 host=10.0.0.1 port=8100");
  EXPECT_EQ(text_line("x", {{"ok", true}, {"ratio", 0.5}, {"delta", -3}}, LogLevel::error),
            "2026-11-23T12:00:00.123456Z ERROR registry: x ok=true ratio=0.5 delta=-3");
  EXPECT_EQ(text_line("x", {{"down_seconds", 10.125499871}, {"tiny", 0.0000001}, {"huge", 1e300}, {"left", -0.0015}}),
            "2026-11-23T12:00:00.123456Z INFO  registry: x down_seconds=10.125 tiny=0.0 huge=1e+300 left=-0.002");
}

TEST(LogLine, TextValue_ThatCouldForgeLinesOrFields_IsQuotedAndEscaped) {
  struct Case {
    std::string value;
    std::string written;
  };
  const Case cases[] = {
      {"plain-1.2:3/4", "plain-1.2:3/4"},
      {"", R"("")"},
      {"two words", R"("two words")"},
      {"a=b", R"("a=b")"},
      {"say \"hi\"", R"("say \"hi\"")"},
      {"back\\slash", R"("back\\slash")"},
      {"a\n2026 INFO forged: x", R"("a\n2026 INFO forged: x")"},
      {"\r\t", R"("\r\t")"},
      {"\x1b[31m", R"("\x1b[31m")"},
      {std::string("nul\0", 4), R"("nul\x00")"},
      {"\x7f", R"("\x7f")"},
      {"\xc2\x9b", R"("\xc2\x9b")"},
      {"gr\xc3\xbc\xc3\x9f", "\"gr\xc3\xbc\xc3\x9f\""},
      {"bad\xff", "\"bad\xef\xbf\xbd\""},
  };
  for (const Case& c : cases) {
    const std::string line = text_line("m", {{"v", c.value}});
    EXPECT_EQ(line.substr(line.find("v=")), "v=" + c.written);
  }
  EXPECT_THAT(text_line("two\nlines", {}), HasSubstr(R"(registry: two\nlines)"));
}

TEST(LogLine, Json_IsOneObjectWithTypedFields) {
  const auto line =
      json_line("bad\n\"request\"", {{"peer", "1.2.3.4"}, {"bytes", 18446744073709551615U}, {"ok", false}});
  EXPECT_EQ(line.at("ts"), "2026-11-23T12:00:00.123456Z");
  EXPECT_EQ(line.at("level"), "warn");
  EXPECT_EQ(line.at("logger"), "http");
  EXPECT_EQ(line.at("msg"), "bad\n\"request\"");
  EXPECT_EQ(line.at("peer"), "1.2.3.4");
  EXPECT_EQ(line.at("bytes"), 18446744073709551615U);
  EXPECT_EQ(line.at("ok"), false);
}

TEST(LogLevels, Setting_GivesLevelByName) {
  const auto levels = parse_log_levels("warn, probe=DEBUG,http=off").value();
  EXPECT_EQ(levels.of("probe"), LogLevel::debug);
  EXPECT_EQ(levels.of("http"), LogLevel::off);
  EXPECT_EQ(levels.of("registry"), LogLevel::warn);
  EXPECT_EQ(parse_log_levels("probe=trace").value().standard, LogLevel::info);
}

TEST(LogLevels, BadSetting_NamesThePart) {
  const auto message = [](std::string_view text) { return parse_log_levels(text).error().message; };
  EXPECT_EQ(message("inof"), "'inof' is no log level (trace, debug, info, warn, error, off); did you mean 'info'?");
  EXPECT_THAT(message("info,probe=loud"), HasSubstr("'loud' is no log level"));
  EXPECT_THAT(message("info,=debug"), HasSubstr("does not name a logger"));
  EXPECT_THAT(message("info,warn"), HasSubstr("two levels"));
  EXPECT_THAT(message(""), HasSubstr("is no log level"));
}

class Logging : public testing::Test {
 protected:
  Logging() {
    set_log_tap([this](LogLevel, std::string_view, std::string_view line) {
      const auto message = line.find(": ");
      seen_.emplace_back(line.substr(message + 2));
    });
  }
  ~Logging() override {
    set_log_tap({});
    shutdown_logging();
  }

  [[nodiscard]] LogSettings to_file(const std::string& name) const {
    LogSettings settings;
    settings.file = folder_.path(name);
    settings.to_stderr = false;
    return settings;
  }

  TempFolder folder_;
  std::vector<std::string> seen_;
};

TEST_F(Logging, Level_IsPerNameAndChangesAtRunTime) {
  const Logger probe("probe");
  const Logger other("other");
  LogSettings settings = to_file("a.log");
  settings.level = "warn,probe=debug";
  ASSERT_TRUE(setup_logging(settings).has_value());
  probe.debug("one");
  probe.trace("no");
  other.info("no");
  other.warn("two");
  ASSERT_TRUE(set_log_levels("error").has_value());
  probe.warn("no");
  Logger("made later").error("three");
  ASSERT_TRUE(reopen_logs().has_value());
  probe.debug("four");
  EXPECT_TRUE(set_log_levels("bogus").has_error());
  probe.debug("five");
  EXPECT_THAT(seen_, ElementsAre("one", "two", "three", "four", "five"));
}

TEST_F(Logging, BeforeSetup_OnlyWarningsAreWritten) {
  testing::internal::CaptureStderr();
  Logger("early").info("no");
  Logger("early").warn("careful");
  EXPECT_THAT(testing::internal::GetCapturedStderr(), HasSubstr("WARN  early: careful\n"));
  EXPECT_THAT(seen_, ElementsAre("careful"));
}

TEST_F(Logging, File_IsWrittenAtOnceWithItsFolder_AndJsonIsPossible) {
  LogSettings settings = to_file("new/folder/a.log");
  settings.format = "json";
  ASSERT_TRUE(setup_logging(settings).has_value());
  Logger("x").info("hello", {{"n", 1}});
  const auto line = nlohmann::json::parse(folder_.read("new/folder/a.log"));
  EXPECT_EQ(line.at("msg"), "hello");
  EXPECT_EQ(line.at("n"), 1);
}

TEST_F(Logging, FileThatCannotBeOpened_IsAnErrorAndTheOldOneStays) {
  ASSERT_TRUE(setup_logging(to_file("a.log")).has_value());
  folder_.write("plain", "");
  const auto refused = setup_logging(to_file("plain/b.log"));
  ASSERT_TRUE(refused.has_error());
  EXPECT_EQ(refused.error().message, "cannot create the folder of log file '" + folder_.path("plain/b.log") + "'");
  EXPECT_EQ(setup_logging(to_file("")).error().to_string(),
            "cannot open log file '" + folder_.path("") + "': Is a directory");
  Logger("x").info("still here");
  EXPECT_THAT(folder_.read("a.log"), HasSubstr("still here\n"));
}

TEST_F(Logging, Reopen_AfterMove_WritesToANewFile) {
  ASSERT_TRUE(setup_logging(to_file("a.log")).has_value());
  Logger("x").info("first");
  std::filesystem::rename(folder_.path("a.log"), folder_.path("moved.log"));
  Logger("x").info("second");
  ASSERT_TRUE(reopen_logs().has_value());
  Logger("x").info("third");
  EXPECT_THAT(folder_.read("moved.log"), HasSubstr("second"));
  EXPECT_THAT(folder_.read("a.log"), HasSubstr("third"));
  EXPECT_THAT(folder_.read("a.log"), testing::Not(HasSubstr("second")));
}

TEST_F(Logging, Rotation_KeepsTheGivenNumberOfFilesAndEveryLineWhole) {
  LogSettings settings = to_file("a.log");
  settings.max_bytes = 100;  // one line of 47 bytes and its field: two fit
  settings.max_files = 2;
  ASSERT_TRUE(setup_logging(settings).has_value());
  for (int i = 1; i <= 7; ++i) Logger("x").info("line", {{"i", i}});
  EXPECT_THAT(folder_.read("a.log"), HasSubstr("i=7\n"));
  EXPECT_THAT(folder_.read("a.log.1"), HasSubstr("i=6\n"));
  EXPECT_THAT(folder_.read("a.log.2"), HasSubstr("i=4\n"));
  EXPECT_FALSE(folder_.has("a.log.3"));
  for (const char* name : {"a.log", "a.log.1", "a.log.2"}) EXPECT_LE(folder_.read(name).size(), 100U);
}

TEST_F(Logging, Rotation_ThatCannotRename_LosesNoLine) {
  LogSettings settings = to_file("a.log");
  settings.max_bytes = 50;
  settings.max_files = 1;
  ASSERT_TRUE(setup_logging(settings).has_value());
  std::filesystem::create_directories(folder_.path("a.log.1/in the way"));
  for (int i = 1; i <= 5; ++i) Logger("x").info("line", {{"i", i}});
  for (int i = 1; i <= 5; ++i) EXPECT_THAT(folder_.read("a.log"), HasSubstr("i=" + std::to_string(i) + "\n"));
}

TEST_F(Logging, FullDisk_IsCountedAndNothingElse) {
  LogSettings settings;
  settings.file = "/dev/full";
  settings.to_stderr = false;
  ASSERT_TRUE(setup_logging(settings).has_value());
  const std::uint64_t before = log_lines_lost();
  Logger("x").error("nobody will read this");
  Logger("x").error("nor this");
  EXPECT_EQ(log_lines_lost(), before + 2);
}

TEST_F(Logging, Threads_WriteWholeLinesWhileLevelsAndFilesChange) {
  ASSERT_TRUE(setup_logging(to_file("a.log")).has_value());
  set_log_tap({});
  constexpr int kLines = 200;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([t] {
      const Logger log("worker");
      for (int i = 0; i < kLines; ++i) log.error("tick", {{"thread", t}, {"i", i}});
    });
  }
  for (int i = 0; i < 20; ++i) {
    EXPECT_TRUE(reopen_logs().has_value());
    EXPECT_TRUE(set_log_levels(i % 2 == 0 ? "error" : "debug").has_value());
    EXPECT_TRUE(setup_logging(to_file("a.log")).has_value());
  }
  for (std::thread& thread : threads) thread.join();
  const std::string text = folder_.read("a.log");
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 4 * kLines);
}

TEST(LogOptions, Table_DeclaresItsSettings) {
  LogSettings settings;
  OptionTable table("registry", "INFINILM_REGISTRY");
  add_log_options(table, settings);
  EXPECT_EQ(table.options().size(), 6U);
  EXPECT_TRUE(table.set("log_format", "json", "--log-format").has_value());
  EXPECT_TRUE(table.set("log_format", "xml", "--log-format").has_error());
  EXPECT_EQ(settings.format, "json");
  settings.level = "loud";
  EXPECT_THAT(check_log_settings(settings).error().to_string(), HasSubstr("'log_level' is not understood: 'loud'"));
}

TEST(LogLimiter, Burst_ThenRate_TellsWhatItHeldBack) {
  LogLimiter limiter(2, 0.5);
  const TimePoint start{std::chrono::hours(1)};
  EXPECT_EQ(limiter.check(start)->suppressed, 0U);
  EXPECT_EQ(limiter.check(start)->suppressed, 0U);
  for (int i = 0; i < 5; ++i) EXPECT_FALSE(limiter.check(start));
  EXPECT_FALSE(limiter.check(start + std::chrono::milliseconds(1999)));
  EXPECT_EQ(limiter.check(start + std::chrono::seconds(2))->suppressed, 6U);
  EXPECT_EQ(limiter.check(start + std::chrono::seconds(60))->suppressed, 0U);
}

}  // namespace
}  // namespace svc
