#include "bench/routing/trace.hpp"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace svc::routing {
namespace {

Trace parsed(std::string_view text) {
  auto trace = parse_trace(text, "file");
  EXPECT_TRUE(trace.has_value()) << trace.error().to_string();
  return trace.has_value() ? *std::move(trace) : Trace{};
}

std::vector<BlockId> blocks_of(const Trace& trace, std::size_t row) {
  const auto blocks = trace.blocks(trace.rows.at(row));
  return {blocks.begin(), blocks.end()};
}

TEST(Trace, Tr_HasTimesTokensSessionsAndBlocks) {
  const auto trace = parsed(
      "#trace chats block=100 rows=3 saturation=4:0.35,8:0.7\n"
      "0.5,750,10,3,-1,0.00,1 5-8 20-21\n"
      "\n"
      "1.5,99,0,-1,-1,0.00,\r\n"
      "-1,300,7,3,0,2.50,1 5 9");
  EXPECT_EQ(trace.name, "chats");
  EXPECT_EQ(trace.block_tokens, 100U);
  EXPECT_EQ(trace.saturation.at(8), 0.7);
  ASSERT_EQ(trace.rows.size(), 3U);
  EXPECT_EQ(trace.rows[0].at, 0.5);
  EXPECT_EQ(trace.rows[0].session, 4U);
  EXPECT_EQ(blocks_of(trace, 0), (std::vector<BlockId>{1, 5, 6, 7, 8, 20, 21}));
  EXPECT_EQ(trace.rows[1].out, 1U) << "an answer has a token at least";
  EXPECT_EQ(trace.rows[1].session, 0U);
  EXPECT_EQ(trace.rows[1].after, Request::kNobody);
  EXPECT_EQ(trace.rows[2].after, 0U);
  EXPECT_EQ(trace.rows[2].think, 2.5);
  EXPECT_EQ(blocks_of(trace, 2), (std::vector<BlockId>{1, 5, 9}));
}

TEST(Trace, FirstRows_AreKeptWithoutThoseThatWaitForOthers) {
  auto trace = parsed(
      "#trace t block=512 "
      "rows=5\n0,10,1,-1,-1,0,\n-1,20,1,-1,4,0,\n-1,30,1,-1,1,0,\n-1,40,1,-1,0,0,\n1,50,1,-1,-1,0,\n");
  keep_first(trace, 9);
  EXPECT_EQ(trace.rows.size(), 5U);
  keep_first(trace, 4);
  ASSERT_EQ(trace.rows.size(), 2U) << "the second row waits for the fifth, the third for the second";
  EXPECT_EQ(trace.rows[0].in, 10U);
  EXPECT_EQ(trace.rows[1].in, 40U);
  EXPECT_EQ(trace.rows[1].after, 0U);
  EXPECT_EQ(trace.left_out, 0U);
}

TEST(Trace, Sessions_HaveTheNameOfTheClientOrOfTheSecondBlock) {
  const auto trace = parsed(
      "#trace t block=100 rows=4\n0,250,1,3,-1,0,1-2\n0,250,1,-1,-1,0,1-2\n0,150,1,-1,-1,0,1\n0,50,1,-1,-1,0,\n");
  std::vector<std::string> names;
  for (std::uint32_t row = 0; row < 4; ++row) {
    names.push_back(session_name(trace.rows[row], trace.blocks(trace.rows[row]), row));
  }
  EXPECT_EQ(names, (std::vector<std::string>{"s4", "b2", "b1", "r3"}));
}

TEST(Trace, BlocksBeyondTheFullOnes_AreDropped) {
  const auto trace = parsed("#trace t block=512 rows=1\n0,1000,5,-1,-1,0,1-9\n");
  EXPECT_EQ(blocks_of(trace, 0), (std::vector<BlockId>{1}));
}

TEST(Trace, Mooncake_SpreadsTheTicksOfItsClock) {
  const auto trace = parsed(R"({"timestamp": 0, "input_length": 1100, "output_length": 5, "hash_ids": [0, 1, 2]}
{"timestamp": 0, "input_length": 600, "output_length": 6, "hash_ids": [0, 3]}
{"timestamp": 3000, "input_length": 10, "output_length": 7, "hash_ids": [4]}
{"timestamp": 3000, "input_length": 10, "output_length": 7, "hash_ids": [5]}
)");
  ASSERT_EQ(trace.rows.size(), 4U);
  EXPECT_EQ(trace.rows[0].at, 0);
  EXPECT_EQ(trace.rows[1].at, 1.5);
  EXPECT_EQ(trace.rows[2].at, 3.0);
  EXPECT_EQ(trace.rows[3].at, 4.5);
  EXPECT_EQ(blocks_of(trace, 0), (std::vector<BlockId>{0, 1}));
  EXPECT_EQ(blocks_of(trace, 1), (std::vector<BlockId>{0}));
  EXPECT_TRUE(blocks_of(trace, 2).empty());
}

TEST(Trace, Azure_CountsFromItsFirstRequest) {
  const auto trace = parsed(
      "TIMESTAMP,ContextTokens,GeneratedTokens\r\n"
      "2023-11-16 23:59:59.5000000,4808,10\r\n"
      "2023-11-17 00:00:01.2500000,600,8\r\n");
  ASSERT_EQ(trace.rows.size(), 2U);
  EXPECT_EQ(trace.rows[0].at, 0);
  EXPECT_NEAR(trace.rows[1].at, 1.75, 1e-6);
  EXPECT_EQ(trace.rows[0].in, 4808U);
  EXPECT_EQ(trace.rows[0].out, 10U);
  EXPECT_EQ(trace.rows[0].blocks_count, 9U);
  EXPECT_NE(blocks_of(trace, 0)[0], blocks_of(trace, 1)[0]) << "nothing is known to be shared";
}

constexpr std::string_view kAccessLog =
    R"(2026-11-23T12:00:00.000000Z INFO  router: ready
{"ts":"2026-11-23T12:00:04.000000Z","level":"info","logger":"access","msg":"request","method":"POST","status":200,"upstream":"a","ttft_ms":500.0,"total_ms":3000.0,"bytes_in":4400,"bytes_out":900,"prompt_tokens":1000,"completion_tokens":30,"stream":true,"prefix":"00000001.00000002.00000003"}
{"ts":"2026-11-23T12:00:05.000000Z","level":"info","logger":"access","msg":"request","method":"GET","path":"/v1/models","status":200,"bytes_in":0,"bytes_out":90}
{"ts":"2026-11-23T12:00:05.000000Z","level":"info","logger":"access","msg":"request","method":"POST","status":503,"reason":"queue_full","bytes_in":99,"bytes_out":90}
{"ts":"2026-11-23T12:00:06.000000Z","level":"info","logger":"access","msg":"request","method":"POST","status":200,"upstream":"b","ttft_ms":100.0,"total_ms":6000.0,"bytes_in":2200,"bytes_out":600,"stream":true,"prefix":"00000001"}
{"ts":"2026-11-23T12:00:07.000000Z","level":"info","logger":"access","msg":"request","method":"POST","status":200,"upstream":"b","total_ms":10.0,"bytes_in":2200,"bytes_out":600}
)";

TEST(Trace, AccessLog_BeginsWhereRequestsBegan) {
  const auto trace = parsed(kAccessLog);
  ASSERT_EQ(trace.rows.size(), 2U);
  EXPECT_EQ(trace.left_out, 2U) << "one that was refused, and one whose answer nobody can size";
  EXPECT_EQ(trace.recorded_engines, 2U);
  EXPECT_EQ(trace.block_tokens, 300U)
      << "1,500 tokens and four hashes; each prompt ends half a step behind its last one";
  EXPECT_EQ(trace.rows[0].at, 0) << "the one that ended last came first";
  EXPECT_EQ(trace.rows[1].at, 1);
  EXPECT_EQ(trace.rows[1].in, 1000U);
  EXPECT_EQ(trace.rows[1].recorded_first, 0.5);
  EXPECT_EQ(trace.rows[1].recorded_total, 3);
  EXPECT_EQ(blocks_of(trace, 1), (std::vector<BlockId>{1, 2, 3}));
  EXPECT_EQ(blocks_of(trace, 0), (std::vector<BlockId>{1}));
}

TEST(Trace, AccessLogWithoutUsage_IsEstimatedByItsOtherRequests) {
  const auto trace = parsed(kAccessLog);
  EXPECT_EQ(trace.rows.at(0).in, 500U);
  EXPECT_EQ(trace.rows.at(0).out, 20U);
}

TEST(Trace, Unusable_SaysWhatIsWrongAndWhere) {
  const std::pair<std::string_view, std::string_view> cases[] = {
      {"", "file is empty"},
      {"hello\n", "file is no trace: it does not begin as"},
      {"#trace t block=0\n", "file, line 1: expected #trace NAME"},
      {"#trace t block=512 saturation=8\n", "file, line 1: expected #trace NAME"},
      {"#trace t block=512 rows=2\n0,1,1,-1,-1,0,\n", "file has 1 rows, and its first line says 2"},
      {"#trace t block=512\n", "file has no request that can be run again"},
      {"#trace t block=512\n0,1,1\n", "file, line 2: expected t,in,out,session,after,think,id ranges"},
      {"#trace t block=512\n0,1,1,-1,-1,0,5-3\n", "file, line 2: block ids are numbers and ranges"},
      {"#trace t block=512\n0,1,1,-1,-1,0,0-99999999999\n", "file, line 2: block ids are numbers and ranges"},
      {"#trace t block=512\n0,4000000000,1,-1,-1,0,\n", "file, line 2: more tokens than any engine can hold"},
      {"#trace t block=512\ninf,1,1,-1,-1,0,\n", "file, line 2: a time out of range"},
      {"#trace t block=512\n0,1,1,-1,-1,-5,\n", "file, line 2: a time out of range"},
      {"#trace t block=512\n-1,1,1,-1,-1,0,\n", "file, line 2: a request without a time needs the row"},
      {"#trace t block=512\n-1,1,1,-1,7,0,\n", "file: request 0 waits for request 7, which does not exist"},
      {"#trace t block=512\n-1,1,1,-1,1,0,\n-1,1,1,-1,0,0,\n", "file: request 0 waits for itself"},
      {R"({"input_length": 5})", "file, line 1: expected the numbers timestamp"},
      {R"({"input_length": 5)", "file, line 1: not a JSON object"},
      {R"({"logger":"access","method":"POST","status":500})", "file has no request that can be run again"},
      {"TIMESTAMP,ContextTokens,GeneratedTokens\nyesterday,1,1\n", "file, line 2: expected a time as 2023-11-16"},
      {R"({"ts":"2026-11-23T12:00:00.000000Z","level":"info","logger":"router","msg":"ready"})",
       "file is no trace: it does not begin as"},
  };
  for (const auto& [text, expected] : cases) {
    const auto trace = parse_trace(text, "file");
    ASSERT_TRUE(trace.has_error()) << text;
    EXPECT_TRUE(trace.error().to_string().starts_with(expected)) << text << "\n" << trace.error().to_string();
  }
}

TEST(Trace, Oversized_GoesWithAllThatWaitForIt) {
  auto trace = parsed(
      "#trace t block=512\n"
      "0,100,10,-1,-1,0,\n"
      "1,5000,10,-1,-1,0,\n"
      "-1,100,10,-1,1,1,\n"
      "-1,100,10,-1,2,1,\n"
      "-1,200,10,-1,0,1,\n");
  EngineModel model;
  model.kv_tokens = 4000;
  EXPECT_EQ(drop_oversized(trace, model), 3U);
  ASSERT_EQ(trace.rows.size(), 2U);
  EXPECT_EQ(trace.rows[1].in, 200U);
  EXPECT_EQ(trace.rows[1].after, 0U);
  EXPECT_EQ(trace.left_out, 3U);
  EXPECT_EQ(drop_oversized(trace, model), 0U);
}

}  // namespace
}  // namespace svc::routing
