#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "agent/io/shim/engine_log.hpp"
#include "tests/support/moments.hpp"
#include "tests/support/temp_folder.hpp"

namespace svc::agent {
namespace {

using test::TempFolder;
using testing::HasSubstr;
using testing::Not;
using namespace std::chrono_literals;

using test::kTime;

EngineLogSettings settings_for(const TempFolder& folder) {
  EngineLogSettings settings;
  settings.path = folder.path("logs/toy.log");
  return settings;
}

/// The lines and the file without the thread between them.
class Log {
 public:
  explicit Log(EngineLogSettings settings) : file(std::move(settings)) {}
  void add(WallTime at, std::string_view line) { queue.add(0, at, log_time(at) + " out " + std::string(line) + "\n"); }
  void flush() {
    while (auto batch = queue.take()) {
      file.write(*batch);
      queue.written(*std::move(batch));
    }
  }

  LineQueue queue{EngineLog::kRoomBytes};
  EngineLogFile file;
};

std::size_t lines_in(const std::string& text) {
  return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
}

TEST(EngineLog, Lines_HaveTimeRankAndStream) {
  const TempFolder folder;
  EngineLog log(settings_for(folder));
  log.start();
  log.add(kTime, 0, false, "one");
  log.add(kTime, 0, true, "two");
  log.add(kTime + 1ms, 2, false, "three");
  log.add(kTime + 1ms, 13, true, "");
  log.note(kTime + 2ms, "four");
  log.flush();
  EXPECT_TRUE(log.finish(20s));
  EXPECT_EQ(folder.read("logs/toy.log"),
            "2026-11-23T12:00:00.123Z out one\n"
            "2026-11-23T12:00:00.123Z err two\n"
            "2026-11-23T12:00:00.124Z out.2 three\n"
            "2026-11-23T12:00:00.124Z err.13 \n"
            "2026-11-23T12:00:00.125Z agent four\n");
  EXPECT_EQ(log.lines_lost(), 0U);
}

TEST(EngineLog, Time_IsReadBack) {
  EXPECT_EQ(parse_log_time("2026-11-23T12:00:00.123Z out x"), std::chrono::floor<std::chrono::seconds>(kTime));
  for (const char* text :
       {"", "2026-11-23", "2026-13-23T12:00:00.123Z", "hello, this is no time", "2026-11-23 12:00:00"}) {
    EXPECT_FALSE(parse_log_time(text)) << text;
  }
}

TEST(EngineLog, Rotation_LosesNoLine) {
  // S10: 0 of 100 000.
  const TempFolder folder;
  EngineLogSettings settings = settings_for(folder);
  settings.max_bytes = 1'000'000;
  settings.max_files = 100;
  Log log(settings);
  const std::string line(80, 'x');
  for (int i = 0; i < 100'000; ++i) {
    log.add(kTime, line);
    if (i % 700 == 0) log.flush();
  }
  log.flush();
  std::size_t lines = 0;
  std::size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder.path("logs"))) {
    EXPECT_LE(entry.file_size(), settings.max_bytes);
    lines += lines_in(folder.read("logs/" + entry.path().filename().string()));
    ++files;
  }
  EXPECT_EQ(lines, 100'000U);
  EXPECT_GT(files, 10U);
  EXPECT_EQ(log.file.lines_lost(), 0U);
}

TEST(EngineLog, DiskUse_IsBounded) {
  const TempFolder folder;
  EngineLogSettings settings = settings_for(folder);
  settings.max_bytes = 100'000;
  settings.max_files = 2;
  Log log(settings);
  for (int i = 0; i < 20'000; ++i) log.add(kTime, std::string(80, 'x'));
  log.flush();
  std::uintmax_t bytes = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder.path("logs"))) bytes += entry.file_size();
  EXPECT_LE(bytes, 3 * settings.max_bytes);
}

TEST(EngineLog, OldFile_IsRotatedAlsoByALaterRun) {
  const TempFolder folder;
  EngineLogSettings settings = settings_for(folder);
  settings.max_age = 24h;
  {
    Log log(settings);
    log.add(kTime, "first run");
    log.flush();
    log.add(kTime + 23h, "same day");
    log.flush();
  }
  EXPECT_EQ(lines_in(folder.read("logs/toy.log")), 2U);
  Log log(settings);
  log.add(kTime + 25h, "next day");
  log.flush();
  EXPECT_THAT(folder.read("logs/toy.log.1"), HasSubstr("same day"));
  EXPECT_THAT(folder.read("logs/toy.log"), HasSubstr("next day"));
  EXPECT_THAT(folder.read("logs/toy.log"), Not(HasSubstr("first run")));
  log.add(kTime + 26h, "once is enough");
  log.flush();
  EXPECT_FALSE(folder.has("logs/toy.log.2"));
}

TEST(EngineLog, FullDisk_CountsLinesAndSaysSoLater) {
  const TempFolder folder;
  EngineLogSettings settings = settings_for(folder);
  std::filesystem::create_directories(folder.path("logs"));
  std::filesystem::create_symlink("/dev/full", settings.path);
  Log log(settings);
  for (int i = 0; i < 10; ++i) log.add(kTime, "lost");
  log.flush();
  log.add(kTime, "lost too");
  log.flush();
  EXPECT_EQ(log.file.lines_lost(), 11U);
  std::filesystem::remove(settings.path);
  ASSERT_TRUE(log.file.reopen().has_value());
  log.add(kTime, "there is room again");
  log.flush();
  EXPECT_EQ(folder.read("logs/toy.log"),
            "2026-11-23T12:00:00.123Z agent 11 lines were lost: they could not be written\n"
            "2026-11-23T12:00:00.123Z out there is room again\n");
  EXPECT_EQ(log.file.lines_lost(), 11U);
}

TEST(EngineLog, WhatNeverCameToTheFile_IsSaidAtItsPlace) {
  const TempFolder folder;
  EngineLogFile file(settings_for(folder));
  LineBatch batch;
  batch.text = "before\n";
  batch.lines = 1;
  batch.last_at = kTime;
  file.write(batch);
  batch.text = "";
  batch.lines = 0;
  batch.lost_before = 7;
  file.write(batch);
  EXPECT_EQ(folder.read("logs/toy.log"),
            "before\n2026-11-23T12:00:00.123Z agent 7 lines were lost: they could not be written\n");
  EXPECT_EQ(file.lines_lost(), 0U) << "who dropped them has counted them";
  EXPECT_FALSE(file.failing());
}

TEST(EngineLog, ReopenThatFails_IsSaidInTheOldFile) {
  const TempFolder folder;
  Log log(settings_for(folder));
  log.add(kTime, "before");
  log.flush();
  std::filesystem::rename(folder.path("logs"), folder.path("moved"));
  folder.write("logs", "a file where the folder should be");
  EXPECT_TRUE(log.file.reopen().has_error());
  log.add(kTime, "after");
  log.flush();
  EXPECT_THAT(folder.read("moved/toy.log"), HasSubstr(" agent cannot create the folder of log file "));
  EXPECT_THAT(folder.read("moved/toy.log"), HasSubstr("out after\n"));
}

TEST(EngineLog, FileThatCannotBeMade_LosesLinesOnly) {
  const TempFolder folder;
  EngineLogSettings settings = settings_for(folder);
  folder.write("logs", "a file where the folder should be");
  Log log(settings);
  log.add(kTime, "lost");
  log.flush();
  EXPECT_EQ(log.file.lines_lost(), 1U);
  std::filesystem::remove(folder.path("logs"));
  ASSERT_TRUE(log.file.reopen().has_value());
  log.add(kTime, "kept");
  log.flush();
  EXPECT_THAT(folder.read("logs/toy.log"), HasSubstr("out kept\n"));
}

TEST(EngineLog, Reopen_FollowsLogrotate) {
  const TempFolder folder;
  Log log(settings_for(folder));
  log.add(kTime, "before");
  log.flush();
  std::filesystem::rename(folder.path("logs/toy.log"), folder.path("logs/moved"));
  ASSERT_TRUE(log.file.reopen().has_value());
  log.add(kTime, "after");
  log.flush();
  EXPECT_THAT(folder.read("logs/moved"), HasSubstr("before"));
  EXPECT_EQ(folder.read("logs/toy.log"), "2026-11-23T12:00:00.123Z out after\n");
}

TEST(EngineLog, NoPath_KeepsNothing) {
  EngineLog log(EngineLogSettings{});
  log.start();
  log.add(kTime, 0, false, "nowhere");
  log.flush();
  EXPECT_TRUE(log.finish(20s));
  EXPECT_EQ(log.lines_lost(), 0U);
}

}  // namespace
}  // namespace svc::agent
