// ChunkRelay: what passes as it came, what is framed anew, and what breaks.
#include "router/core/http1/chunk_relay.hpp"

#include <gtest/gtest.h>

#include <string>

namespace svc::router {
namespace {

using State = ChunkRelay::State;
using Output = ChunkRelay::Output;

struct Relayed {
  std::string out;
  std::string payload;
  std::size_t consumed = 0;
  State state = State::open;
};

/// `piece` bytes at a time; 0 = at once.
Relayed relay(std::string_view in, std::size_t piece = 0, Output output = Output::chunked) {
  ChunkRelay relay(output);
  Relayed all;
  std::string reframed;
  while (all.consumed < in.size() && all.state == State::open) {
    const auto step = relay.take(in.substr(all.consumed, piece == 0 ? in.size() : piece), reframed);
    all.out += step.out;
    for (const auto part : step.payload) all.payload += part;
    all.consumed += step.consumed;
    all.state = step.state;
  }
  EXPECT_EQ(relay.payload_bytes(), all.payload.size());
  EXPECT_EQ(relay.state(), all.state);
  return all;
}

TEST(ChunkRelay, WholeChunksPassAsTheyCame) {
  const std::string in = "5\r\nhello\r\n00A\r\n0123456789\r\n";
  ChunkRelay relay;
  std::string reframed;
  auto step = relay.take(in, reframed);
  EXPECT_EQ(step.out.data(), in.data());  // not copied
  EXPECT_EQ(step.out, in);
  EXPECT_EQ(step.consumed, in.size());
  EXPECT_EQ(step.state, State::open);
  ASSERT_EQ(step.payload.size(), 2U);
  EXPECT_EQ(step.payload[1], "0123456789");

  const std::string end = "1\r\nx\r\n0\r\n\r\nHTTP/1.1";
  step = relay.take(end, reframed);
  EXPECT_EQ(step.out.data(), end.data());
  EXPECT_EQ(step.out, "1\r\nx\r\n0\r\n\r\n");
  EXPECT_EQ(step.consumed, 11U);
  EXPECT_EQ(step.state, State::done);
  EXPECT_EQ(relay.payload_bytes(), 16U);
}

TEST(ChunkRelay, APieceOfAChunkIsAChunk) {
  ChunkRelay relay;
  std::string reframed;
  EXPECT_EQ(relay.take("2\r\nab\r\n5\r\nhel", reframed).out, "2\r\nab\r\n3\r\nhel\r\n");
  EXPECT_EQ(relay.take("", reframed).out, "");
  EXPECT_EQ(relay.take("l", reframed).out, "1\r\nl\r\n");
  EXPECT_EQ(relay.take("o\r\n1", reframed).out, "1\r\no\r\n");
  EXPECT_EQ(relay.take("0\r", reframed).out, "");
  EXPECT_EQ(relay.take("\n0123456789abcdef", reframed).out, "10\r\n0123456789abcdef\r\n");
  EXPECT_EQ(relay.take("\r\n0\r\n", reframed).out, "");
  const auto step = relay.take("\r\n", reframed);
  EXPECT_EQ(step.out, "0\r\n\r\n");
  EXPECT_EQ(step.state, State::done);
}

TEST(ChunkRelay, ASizeThatIsNotCompleteHoldsNothingBack) {
  ChunkRelay relay;
  std::string reframed;
  const std::string in = "2\r\nab\r\n5\r";
  const auto step = relay.take(in, reframed);
  EXPECT_EQ(step.out, "2\r\nab\r\n");
  EXPECT_EQ(step.out.data(), in.data());
  EXPECT_EQ(step.consumed, in.size());
}

TEST(ChunkRelay, ExtensionsAndTrailersAreNotPassedOn) {
  EXPECT_EQ(relay("5;a=b\r\nhello\r\n0;x\r\n\r\n").out, "5\r\nhello\r\n0\r\n\r\n");
  const std::string in = "1\r\nx\r\n0\r\nAuthorization: y\r\nConnection: z\r\nE:\r\n\r\n";
  const auto all = relay(in + "rest");
  EXPECT_EQ(all.out, "1\r\nx\r\n0\r\n\r\n");
  EXPECT_EQ(all.state, State::done);
  EXPECT_EQ(all.consumed, in.size());
}

TEST(ChunkRelay, AnySplittingGivesTheSamePayload) {
  const std::string in = "5;q=\"x\ty\"\r\nhello\r\n1A\r\nabcdefghijklmnopqrstuvwxyz\r\n0\r\nA: b\r\n\r\n";
  for (std::size_t piece = 1; piece <= in.size(); ++piece) {
    const auto all = relay(in, piece);
    EXPECT_EQ(all.state, State::done);
    EXPECT_EQ(all.consumed, in.size());
    EXPECT_EQ(all.payload, "helloabcdefghijklmnopqrstuvwxyz");
    EXPECT_EQ(relay(all.out).payload, all.payload);
    EXPECT_EQ(relay(in, piece, Output::plain).out, all.payload);
  }
}

TEST(ChunkRelay, Plain_OnePieceIsNotCopied) {
  ChunkRelay relay(Output::plain);
  std::string reframed;
  const std::string in = "5\r\nhello\r\n";
  const auto step = relay.take(in, reframed);
  EXPECT_EQ(step.out, "hello");
  EXPECT_EQ(step.out.data(), in.data() + 3);
  EXPECT_EQ(relay.take("1\r\na\r\n1\r\nb\r\n0\r\n\r\n", reframed).out, "ab");
}

TEST(ChunkRelay, Broken) {
  using namespace std::string_literals;
  const std::string_view rows[] = {
      "-2\r\nab\r\n",
      "+2\r\nab\r\n",
      "0x2\r\nab\r\n",
      " 2\r\nab\r\n",
      "2 \r\nab\r\n",
      "2 ;a\r\nab\r\n",
      "\r\n",
      ";a\r\n",
      "g\r\n",
      "\n",
      "00000000000000002\r\nab\r\n",  // 17 digits
      "8000000000000000\r\n",         // 2^63
      "ffffffffffffffff\r\n",         // 2^64 - 1
      "10000000000000002\r\nab\r\n",  // 2^64 + 2
      "2\nab\r\n",
      "2\rab\r\n",
      "2\r\r\nab\r\n",
      "2;\nab\r\n0\r\n\r\n",
      "2;\nxx\r\nab\r\n",  // CVE-2025-55315
      "2;a=\"\n\"\r\nab\r\n",
      "2;a=\x01\r\nab\r\n",
      "2;a=\x7f\r\nab\r\n",
      "2;a\rb\r\nab\r\n",
      "2\r\nabc\r\n",
      "2\r\nab\n",
      "2\r\nab\rX",
      "2\r\nab0\r\n\r\n",
      "0\r\n\n",
      "0\r\n\rX",
      "0\r\nA\r\n\r\n",
      "0\r\n: b\r\n\r\n",
      "0\r\nA : b\r\n\r\n",
      "0\r\nA: b\n\r\n",
      "0\r\nA: b\rc\r\n\r\n",
      "0\r\nA: b\r\n c\r\n\r\n",
      "0\r\n A: b\r\n\r\n",
      "0\r\nA: \x01\r\n\r\n",
  };
  for (const std::string_view row : rows) {
    EXPECT_EQ(relay(row).state, State::broken) << row;
    EXPECT_EQ(relay(row, 1).state, State::broken) << row;
  }
  EXPECT_EQ(relay("2;a=\0\r\nab\r\n"s).state, State::broken);
  EXPECT_EQ(relay("0\r\nA: \0\r\n\r\n"s).state, State::broken);
}

TEST(ChunkRelay, LargestSizes) {
  for (const std::string_view size : {"7fffffffffffffff", "0000000000000001", "7FFFFFFFFFFFFFFF"}) {
    EXPECT_EQ(relay(std::string(size) + "\r\nx").out, "1\r\nx\r\n") << size;
  }
}

TEST(ChunkRelay, Broken_WhatWasGoodBeforeIsGiven) {
  auto all = relay("2\r\nab\r\n2\r\ncdX");
  EXPECT_EQ(all.state, State::broken);
  EXPECT_EQ(all.out, "2\r\nab\r\n2\r\ncd\r\n");
  all = relay("2\r\nab\r\n3\r\ncde\rX");
  EXPECT_EQ(all.out, "2\r\nab\r\n3\r\ncde\r\n");
  all = relay("2\r\nab\r\n-1\r\n");
  EXPECT_EQ(all.out, "2\r\nab\r\n");
  all = relay("1\r\nx\r\n0\r\nbad\r\n\r\n");
  EXPECT_EQ(all.out, "1\r\nx\r\n");  // no end that looks complete
}

TEST(ChunkRelay, Limits) {
  const auto extended = [](std::size_t bytes) { return "1;" + std::string(bytes - 1, 'x') + "\r\ny\r\n"; };
  EXPECT_EQ(relay(extended(ChunkRelay::kMaxExtensionBytes)).state, State::open);
  EXPECT_EQ(relay(extended(ChunkRelay::kMaxExtensionBytes + 1)).state, State::broken);
  EXPECT_EQ(relay(extended(4000) + extended(96)).state, State::open);
  EXPECT_EQ(relay(extended(4000) + extended(97)).state, State::broken);
  EXPECT_EQ(relay("1;" + std::string(100'000, 'x')).state, State::broken);
  const auto trailer = [](std::size_t bytes) { return "0\r\nn:" + std::string(bytes - 5, 'x') + "\r\n\r\n"; };
  EXPECT_EQ(relay(trailer(ChunkRelay::kMaxTrailerBytes - 1)).state, State::done);
  EXPECT_EQ(relay(trailer(2 * ChunkRelay::kMaxTrailerBytes)).state, State::broken);
  std::string many = "0\r\n";
  for (int i = 0; i < 10'000; ++i) many += "a:\r\n";
  EXPECT_EQ(relay(many).state, State::broken);
}

TEST(ChunkRelay, ABurstOfTinyChunksLeavesNoLargeList) {
  std::string in;
  for (int i = 0; i < 3000; ++i) in += "1\r\nx\r\n";
  ChunkRelay relay;
  std::string reframed;
  EXPECT_EQ(relay.take(in, reframed).payload.size(), 3000U);
  EXPECT_EQ(relay.take(in, reframed).out, in);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(relay.take("1\r\nx\r\n", reframed).payload.size(), 1U);
}

TEST(ChunkRelay, AppendChunkSize) {
  std::string out;
  append_chunk_size(out, 26);
  append_chunk_size(out, 0);
  append_chunk_size(out, INT64_MAX);
  EXPECT_EQ(out, "1a\r\n0\r\n7fffffffffffffff\r\n");
}

}  // namespace
}  // namespace svc::router
