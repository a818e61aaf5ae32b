#include "agent/core/engine_lines.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace svc::agent {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

using Lines = std::vector<std::string>;

/// The lines of `text`, taken in pieces of `piece` bytes.
Lines split(const std::string& text, std::size_t piece, std::size_t limit = 8192) {
  Lines lines;
  LineSplitter splitter(limit);
  const auto each = [&lines](std::string_view line) { lines.emplace_back(line); };
  for (std::size_t at = 0; at < text.size(); at += piece) {
    splitter.take(std::string_view(text).substr(at, piece), each);
    EXPECT_LE(splitter.held(), limit);
  }
  splitter.finish(each);
  EXPECT_EQ(splitter.held(), 0U);
  return lines;
}

TEST(ListeningPort, EveryEngine_IsUnderstood) {
  const std::vector<std::pair<std::string, std::optional<int>>> cases{
      {"start service at 0.0.0.0:5001", 5001},
      {"2026-01-02 INFO xtask::service: start service at 127.0.0.1:8100.", 8100},
      {"start service at [::]:5001", 5001},
      {"INFO:     Uvicorn running on http://0.0.0.0:8000 (Press CTRL+C to quit)", 8000},
      {"INFO:     Uvicorn running on https://[::1]:8443 (Press CTRL+C to quit)", 8443},
      {"\\x1b[32mINFO\\x1b[0m: Uvicorn running on \\x1b[1mhttp://0.0.0.0:8000\\x1b[0m (Press", 8000},
      {"main: server is listening on http://127.0.0.1:8080 - starting the main loop", 8080},
      {"Uvicorn running on http://host:65535/", 65535},
      {"Uvicorn running on http://host:65536", std::nullopt},
      {"Uvicorn running on http://host:0", std::nullopt},
      {"Uvicorn running on http://host", std::nullopt},
      {"Uvicorn running on http://host:", std::nullopt},
      {"Uvicorn running on http://host:80x", std::nullopt},
      {"Uvicorn running on http://[::1]", std::nullopt},
      {"Uvicorn running on unix socket /tmp/x.sock (Press CTRL+C to quit)", std::nullopt},
      {"Uvicorn running on a machine; see also http://example.org:99 for more", std::nullopt},
      {"Starting API Server at 0.0.0.0:8000...", std::nullopt},
      {"start service at ", std::nullopt},
      {"start service at :5001", std::nullopt},
      {"", std::nullopt},
  };
  for (const auto& [line, port] : cases) EXPECT_EQ(listening_port(line), port) << line;
}

TEST(LineSplitter, AnyPieces_GiveTheSameLines) {
  const std::vector<std::pair<std::string, Lines>> cases{
      {"", {}},
      {"a\nbb\n\nccc\n", {"a", "bb", "", "ccc"}},
      {"a\r\nb\r\n\r\nc", {"a", "b", "", "c"}},
      {"10%\r20%\r\r30%\nend", {"10%", "20%", "30%", "end"}},
      {"\n\n", {"", ""}},
      {"a\r\n\n", {"a", ""}},
      {"no end", {"no end"}},
      {"tab\there\n", {"tab\there"}},
  };
  for (const auto& [text, lines] : cases) {
    for (std::size_t piece = 1; piece <= text.size() + 1; ++piece) EXPECT_EQ(split(text, piece), lines) << text;
  }
}

TEST(LineSplitter, Unprintable_BecomesHex) {
  const std::string text = std::string("nul\0bell\a esc\x1b[1m del\x7f\n", 23) +
                           "gl\xc3\xbc\x63k \xe4\xbd\xa0\xe5\xa5\xbd \xf0\x9f\x98\x80\n" + "bad \xff\xc3( \xe4\xbd\n" +
                           "c1 \xc2\x9b" + "31m overlong \xc0\xaf surrogate \xed\xa0\x80\n";
  for (std::size_t piece : {1U, 2U, 3U, 5U, 1000U}) {
    EXPECT_THAT(split(text, piece),
                ElementsAre("nul\\x00bell\\x07 esc\\x1b[1m del\\x7f",
                            "gl\xc3\xbc\x63k \xe4\xbd\xa0\xe5\xa5\xbd \xf0\x9f\x98\x80", "bad \\xff\\xc3( \\xe4\\xbd",
                            "c1 \\xc2\\x9b31m overlong \\xc0\\xaf surrogate \\xed\\xa0\\x80"));
  }
}

TEST(LineSplitter, LongLine_IsCutMarkedAndItsRestDropped) {
  for (std::size_t piece : {1U, 3U, 7U, 1000U}) {
    EXPECT_THAT(split("12345678\n123456789\nok\n", piece, 8), ElementsAre("12345678", "12345678[cut]", "ok"));
    EXPECT_THAT(split(std::string(500, 'x') + "\r\nok", piece, 8), ElementsAre("xxxxxxxx[cut]", "ok"));
    EXPECT_THAT(split(std::string(500, 'x'), piece, 8), ElementsAre("xxxxxxxx[cut]"));
  }
}

TEST(LineSplitter, LongLine_IsGivenBeforeItEnds) {
  LineSplitter splitter(8);
  Lines lines;
  splitter.take("123456789", [&lines](std::string_view line) { lines.emplace_back(line); });
  EXPECT_THAT(lines, ElementsAre("12345678[cut]"));
}

TEST(LastLines, OnlyTheLastOnes_Remain) {
  LastLines last(3);
  EXPECT_EQ(last.last(), "");
  EXPECT_THAT(last.lines(), IsEmpty());
  for (int i = 1; i <= 5; ++i) last.add("line " + std::to_string(i));
  EXPECT_THAT(last.lines(), ElementsAre("line 3", "line 4", "line 5"));
  EXPECT_EQ(last.last(), "line 5");
}

TEST(LastLines, LongLine_IsCutBetweenCharacters) {
  LastLines last;
  last.add(std::string(511, 'x') + "\xc3\xbc and more");
  EXPECT_EQ(last.last(), std::string(511, 'x'));
  last.add(std::string(512, 'y') + "z");
  EXPECT_EQ(last.last(), std::string(512, 'y'));
}

}  // namespace
}  // namespace svc::agent
