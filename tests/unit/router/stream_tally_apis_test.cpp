// Streams and answers of the Responses API and of Anthropic's Messages API; those of the others: stream_tally_test.cpp.
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "tests/unit/router/stream_tally_fixture.hpp"

namespace svc::router {
namespace {

constexpr std::string_view kResponses[] = {
    ": queued\n\n",
    "event: response.created\n"
    R"(data: {"response":{"id":"r","status":"queued","usage":null},"sequence_number":0,"type":"response.created"})"
    "\n\n",
    "event: response.in_progress\n"
    R"(data: {"type":"response.in_progress","response":{"id":"r","usage":null}})"
    "\n\n",
    "event: response.output_text.delta\n"
    R"(data: {"type":"response.output_text.delta","delta":"Hi","sequence_number":2})"
    "\n\n",
    "event: response.completed\n"
    R"(data: {"type":"response.completed","response":{"tools":[{"parameters":{"properties":{"usage":{"type":"string"}}}}],)"
    R"("usage":{"input_tokens":36,"input_tokens_details":{"cached_tokens":16},"output_tokens":87,)"
    R"("output_tokens_details":{"reasoning_tokens":0},"total_tokens":123},"user":null,"metadata":{}},"sequence_number":3})"
    "\n\n",
};
constexpr std::string_view kMessages[] = {
    "event: message_start\n"
    R"(data: {"type":"message_start","message":{"id":"m","content":[],"usage":{"input_tokens":25,)"
    R"("cache_creation_input_tokens":30,"cache_read_input_tokens":100,"output_tokens":1}}})"
    "\n\n",
    "event: ping\ndata: {\"type\": \"ping\"}\n\n",
    ": still here\n\n",
    "event: content_block_delta\n"
    R"(data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hello"}})"
    "\n\n",
    "event: ping\ndata: {\"type\": \"ping\"}\n\n",
    "event: message_delta\n"
    R"(data: {"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":15}}   )"
    "\n\n",
    "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
};

std::string without_event_lines(std::string stream) {
  for (std::size_t at = 0; (at = stream.find("event: ", at)) != std::string::npos;) {
    stream.erase(at, stream.find('\n', at) + 1 - at);
  }
  return stream;
}

std::string with_crlf(const std::string& lf) {
  std::string crlf;
  for (const char c : lf) crlf += c == '\n' ? std::string("\r\n") : std::string(1, c);
  return crlf;
}

struct OtherStream {
  std::string name, preamble, rest;
  std::uint64_t events;
  Usage usage;
};

std::vector<OtherStream> other_streams() {
  const auto part = [](const auto& events, std::size_t from, std::size_t to) {
    std::string out;
    for (std::size_t i = from; i < to; ++i) out += events[i];
    return out;
  };
  const Usage responses{36, 87, 16, true, true};
  const Usage messages{155, 15, 100, true, true};
  std::vector<OtherStream> all{
      {"responses", part(kResponses, 0, 3), part(kResponses, 3, 5), 2, responses},
      {"messages", part(kMessages, 0, 3), part(kMessages, 3, 7), 3, messages},
      // The first Responses event has its type behind: without a name it would be taken for content.
      {"responses, by type", without_event_lines(part(kResponses, 2, 3)), without_event_lines(part(kResponses, 3, 5)),
       2, responses},
      {"messages, by type", without_event_lines(part(kMessages, 0, 3)), without_event_lines(part(kMessages, 3, 7)), 3,
       messages},
  };
  for (std::size_t i = 0, lf = all.size(); i < lf; ++i) {
    all.push_back(
        {all[i].name + ", CRLF", with_crlf(all[i].preamble), with_crlf(all[i].rest), all[i].events, all[i].usage});
  }
  return all;
}

void expect_usage(const Usage& usage, const Usage& wanted, const std::string& name) {
  EXPECT_EQ(usage.prompt_tokens, wanted.prompt_tokens) << name;
  EXPECT_EQ(usage.completion_tokens, wanted.completion_tokens) << name;
  EXPECT_EQ(usage.cached_tokens, wanted.cached_tokens) << name;
  EXPECT_EQ(usage.known, wanted.known) << name;
  EXPECT_EQ(usage.cached_known, wanted.cached_known) << name;
}

TEST(StreamTally, OtherApis_AreTheSameSplitAtEveryByte) {
  for (const OtherStream& one : other_streams()) {
    const std::string stream = one.preamble + one.rest;
    const std::size_t begins = one.preamble.size() + one.rest.find('\n', one.rest.find("data: ")) + 1;
    for (std::size_t split = 0; split <= stream.size(); ++split) {
      StreamTally tally = tally_of(stream.substr(0, split));
      ASSERT_EQ(tally.begun(), split >= begins) << one.name << " " << split;
      tally.take(std::string_view(stream).substr(split));
      ASSERT_TRUE(tally.begun());
      ASSERT_TRUE(tally.done()) << one.name << " " << split;
      ASSERT_TRUE(tally.between_events()) << one.name << " " << split;
      ASSERT_EQ(tally.events(), one.events) << one.name << " " << split;
      expect_usage(tally.usage(), one.usage, one.name);
    }
    for (const std::size_t piece : {1U, 2U, 7U}) expect_usage(tally_of(stream, piece).usage(), one.usage, one.name);
  }
}

TEST(StreamTally, Begun_WithTheFirstWholeLineOfContent) {
  const std::pair<std::string_view, bool> cases[] = {
      {"", false},
      {": comment\n\n", false},
      {": data: x\n\n", false},
      {"id: 1\nretry: 5\n\n", false},
      {"event: response.output_text.delta\n", false},
      {"data: x", false},
      {"data: x\n", true},
      {"data:x\n", true},
      {"data: [DONE]\n", true},
      {"data:\n\n", false},
      {"data: \r\n\r\n", false},
      {"data: {\"type\" : \"response.queued\"}\n\n", false},
      {"data: { \"type\":\"ping\"}\n\n", false},
      {"data: {\"type\":\"keepalive\",\"sequence_number\":3}\n\n", false},
      {"data: {\"type\":\"response.created.not\"}\n\n", true},
      {"data: {\"type\":\"response.created\n\n", true},
      {"data: {\"type\":null}\n\n", true},
      {"data: {\"id\":1,\"type\":\"ping\"}\n\n", true},
      {"event:ping\ndata: x\n\n", false},
      {"event: ping\r\ndata: x\r\ndata: y\r\n\r\n", false},
      {"event: ping\n\ndata: x\n\n", true},  // the name is gone with its event
      {"event:\ndata: {\"type\":\"ping\"}\n\n", false},
      {"event: message\ndata: {\"type\":\"ping\"}\n\n", true},
      {"event: error\ndata: {\"type\":\"error\"}\n\n", true},
  };
  for (const auto& [stream, begun] : cases) {
    EXPECT_EQ(tally_of(stream).begun(), begun) << stream;
    EXPECT_EQ(tally_of(stream, 1).begun(), begun) << stream;
  }
  EXPECT_TRUE(StreamTally(Kind::json).begun());
}

TEST(StreamTally, LongPreamble_IsKnownByItsFront) {
  const std::string echo(20'000, 'i');  // instructions come back in it
  const std::string data = R"(data: {"type": "response.in_progress","response":{"instructions":")" + echo + "\"}}\n\n";
  const std::string named = "event: response.created\ndata: {\"response\":{\"instructions\":\"" + echo + "\"}}\n\n";
  const std::string comment = ": " + echo + "\n";
  for (const std::string& stream : {data, named, comment}) {
    for (const std::size_t piece : {1U, 3U, 63U, 4096U, 9000U, 100'000U}) {
      StreamTally tally = tally_of(stream, piece);
      EXPECT_FALSE(tally.begun()) << piece;
      EXPECT_TRUE(tally.between_events()) << piece;
      EXPECT_EQ(tally.events(), 0U) << piece;
      tally.take(kChunk);
      EXPECT_TRUE(tally.begun()) << piece;
      EXPECT_EQ(tally.events(), 1U) << piece;
    }
  }
}

TEST(StreamTally, LongLastEvent_UsageIsFoundNearItsEnd) {
  const std::string last =
      R"(data: {"type":"response.incomplete","response":{"output":")" + std::string(30'000, 'o') +
      R"(","usage":{"input_tokens":3,"output_tokens":4,"total_tokens":7},"user":null,"metadata":{}})"
      R"(,"sequence_number":9})"
      "\n\n";
  for (const std::size_t piece : {1U, 100U, 4096U, 100'000U}) {
    const StreamTally tally = tally_of(last, piece);
    expect_usage(tally.usage(), {3, 4, 0, true, false}, "long");
    EXPECT_TRUE(tally.done());
  }
}

TEST(StreamTally, CutBeforeItsUsage_EventsCountForTokens) {
  const std::string start(kMessages[0]);
  const std::string delta(kMessages[3]);
  expect_usage(tally_of(start).usage(), {155, 0, 100, true, true}, "nothing came");
  expect_usage(tally_of(start + delta + delta + delta).usage(), {155, 3, 100, true, true}, "three came");
}

TEST(StreamTally, UsageNotAtTheEnd_IsLookedForInNamedEventsAlone) {
  const std::string data = R"(data: {"usage":{"prompt_tokens":3,"completion_tokens":4},"more":1})"
                           "\n\n";
  EXPECT_FALSE(tally_of(data).usage().known);
  EXPECT_FALSE(tally_of("event: response.output_text.delta\n" + data).usage().known);
  EXPECT_TRUE(tally_of("event: response.failed\n" + data).usage().known);
}

TEST(StreamTally, JsonAnswer_OfTheOtherApis) {
  const std::string text = R"([{"type":"text","text":")" + std::string(20'000, 't') + R"("}])";
  const std::string response = R"({"object":"response","output":)" + text +
                               R"(,"usage":{"input_tokens":3,"input_tokens_details":{"cached_tokens":2},)"
                               R"("output_tokens":4,"total_tokens":7},"user":null,"metadata":{"usage":"none"}})";
  const std::string message = R"({"type":"message","content":)" + text +
                              R"(,"usage":{"input_tokens":3,"cache_read_input_tokens":20,)" +
                              R"("cache_creation_input_tokens":null,"output_tokens":4}})";
  for (const std::size_t piece : {1U, 4096U, 100'000U}) {
    expect_usage(tally_of(response, piece, Kind::json).usage(), {3, 4, 2, true, true}, "responses");
    expect_usage(tally_of(message, piece, Kind::json).usage(), {23, 4, 20, true, true}, "messages");
  }
}

}  // namespace
}  // namespace svc::router
