#include <gtest/gtest.h>

#include <utility>
#include <vector>

#include "tests/unit/router/stream_tally_fixture.hpp"

namespace svc::router {
namespace {

constexpr std::string_view kUsageChunk =
    R"(data: {"id":"cmpl-1","choices":[],"usage":{"prompt_tokens":11,"completion_tokens":7,"total_tokens":18,)"
    R"("prompt_tokens_details":{"cached_tokens":5}}})"
    "\n\n";
constexpr std::string_view kDone = "data: [DONE]\n\n";

std::string join(std::vector<std::string_view> parts) {
  std::string out;
  for (const auto part : parts) out += part;
  return out;
}

TEST(StreamTally, EventStream_IsTheSameInAnyPieces) {
  const std::string lf = join({": hello\n\n", kChunk, kChunk, "event: x\ndata: a\ndata: b\n\n", kUsageChunk, kDone});
  std::string crlf;
  for (const char c : lf) crlf += c == '\n' ? std::string("\r\n") : std::string(1, c);
  for (const std::string& stream : {lf, crlf}) {
    for (std::size_t piece = 1; piece <= stream.size(); ++piece) {
      const StreamTally tally = tally_of(stream, piece);
      ASSERT_EQ(tally.events(), 4U) << piece;
      ASSERT_TRUE(tally.done()) << piece;
      ASSERT_TRUE(tally.between_events()) << piece;
      const Usage usage = tally.usage();
      ASSERT_TRUE(usage.known) << piece;
      ASSERT_EQ(usage.prompt_tokens, 11U);
      ASSERT_EQ(usage.completion_tokens, 7U);
      ASSERT_EQ(usage.cached_tokens, 5U);
    }
  }
}

TEST(StreamTally, WithoutUsage_EventsCountForTokens) {
  const Usage usage = tally_of(join({kChunk, kChunk, kChunk, kDone})).usage();
  EXPECT_FALSE(usage.known);
  EXPECT_EQ(usage.completion_tokens, 3U);
  EXPECT_EQ(usage.prompt_tokens, 0U);
}

TEST(StreamTally, RunningUsage_TheLastCounts) {
  const Usage usage = tally_of(
                          "data: {\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":1}}\n\n"
                          "data: {\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2}}\n\n")
                          .usage();
  EXPECT_EQ(usage.completion_tokens, 2U);
}

TEST(StreamTally, BetweenEvents_OnlyAfterABlankLine) {
  const std::pair<std::string_view, bool> cases[] = {
      {"", true},
      {"d", false},
      {"data: x", false},
      {"data: x\n", false},
      {"data: x\n\r", false},
      {"data: x\n\n", true},
      {"data: x\r\n\r\n", true},
      {"data: x\n\n\n", true},
      {": ping", false},
      {": ping\n", true},
      {": ping\n\n", true},
      {"event: e\n", false},
      {"event: e\n: c\n", false},
      {"id: 1\n\n", true},
      {"data: x\n\ndata: y", false},
      {"\n", true},
  };
  for (const auto& [stream, between] : cases) {
    EXPECT_EQ(tally_of(stream).between_events(), between) << stream;
    EXPECT_EQ(tally_of(stream, 1).between_events(), between) << stream;
  }
}

TEST(StreamTally, Events_AreWhatABlankLineEnds) {
  const std::pair<std::string_view, std::uint64_t> cases[] = {
      {"data: x", 0},
      {"data: x\n", 0},
      {"data: x\n\n", 1},
      {"data:x\n\n", 1},
      {": data: x\n\n", 0},
      {"event: e\n\n", 0},
      {"dat", 0},
      {"\n\n\n", 0},
      {"data: x\n\n\n\n", 1},
      {"data: [DONE]\n\n", 0},
      {"data: x\ndata: y\n\n", 1},
      {"mydata: x\n\n", 0},
  };
  for (const auto& [stream, events] : cases) EXPECT_EQ(tally_of(stream).events(), events) << stream;
}

TEST(StreamTally, Done_IsTheWordAlone) {
  for (const std::string_view stream : {"data: [DONE]\n\n", "data:[DONE]\r\n\r\n", "data: [DONE]\n", "data: [DONE]"}) {
    EXPECT_TRUE(tally_of(stream).done()) << stream;
    EXPECT_TRUE(tally_of(stream, 1).done()) << stream;
  }
  for (const std::string_view stream : {"data: [DONE", "data: \"[DONE]\"\n\n", "data: [DONE] x\n\n", ": [DONE]\n\n",
                                        "event: [DONE]\n\n", "data: x[DONE]\n\n"}) {
    EXPECT_FALSE(tally_of(stream).done()) << stream;
  }
}

TEST(StreamTally, LongLines_AreCountedWithBoundedMemory) {
  const std::string line =
      R"(data: {"content":")" + std::string(100'000, 'x') + R"(","usage":{"prompt_tokens":1,"completion_tokens":2}})";
  for (const std::size_t piece : {1U, 3U, 1000U, 4096U, 5000U, 9000U, 200'000U}) {
    const StreamTally tally =
        tally_of(line + "\n\n: " + std::string(50'000, 'c') + "\n\n" + std::string(kChunk), piece);
    EXPECT_EQ(tally.events(), 2U) << piece;
    EXPECT_EQ(tally.usage().completion_tokens, 2U) << piece;
    EXPECT_TRUE(tally.usage().known) << piece;
    EXPECT_TRUE(tally.between_events()) << piece;
  }
}

TEST(StreamTally, JsonAnswer_UsageIsFoundNearItsEnd) {
  const std::string content = R"({"id":"x","choices":[{"message":{"content":")" + std::string(50'000, 'x') + R"("}}],)";
  const std::string answer = content + R"("usage" : { "prompt_tokens" : 4, "completion_tokens":
      9, "completion_tokens_details": {"reasoning_tokens": 3}, "prompt_tokens_details": null}, "kv": null}
)";
  for (const std::size_t piece : {1U, 7U, 4096U, 100'000U}) {
    const Usage usage = tally_of(answer, piece, Kind::json).usage();
    EXPECT_TRUE(usage.known);
    EXPECT_EQ(usage.prompt_tokens, 4U);
    EXPECT_EQ(usage.completion_tokens, 9U);
    EXPECT_EQ(usage.cached_tokens, 0U);
  }
}

TEST(StreamTally, Opaque_CountsNothing) {
  const StreamTally tally = tally_of(join({kChunk, kUsageChunk, kDone}), 10, Kind::opaque);
  EXPECT_EQ(tally.events(), 0U);
  EXPECT_FALSE(tally.done());
  EXPECT_FALSE(tally.usage().known);
  EXPECT_TRUE(tally.begun());
}

}  // namespace
}  // namespace svc::router
