// read_response_head: framing and refusals.
#include "router/core/http1/response_head.hpp"

#include <gtest/gtest.h>

#include <string>

namespace svc::router {
namespace {

struct Asked {
  std::string_view method = "POST";
  bool upgrade = false;
  RequestHeadLimits limits = {};
};

/// "" = complete and all of `text`; "incomplete"; else the problem.
std::string answer_fate(std::string_view text, ResponseHead& head, const Asked& asked = {}) {
  const ResponseReading reading = read_response_head(text, 0, asked.method, asked.upgrade, asked.limits, head);
  if (reading.state == HeadState::refused) return reading.problem.empty() ? "no problem named" : reading.problem;
  if (reading.state == HeadState::incomplete) return "incomplete";
  return reading.bytes == text.size() ? "" : "complete, " + std::to_string(reading.bytes) + " bytes";
}

std::string answer_fate(std::string_view text, const Asked& asked = {}) {
  ResponseHead head;
  return answer_fate(text, head, asked);
}

std::string fate_with_lines(const std::string& lines) { return answer_fate("HTTP/1.1 200 OK\r\n" + lines + "\r\n"); }

TEST(ResponseHead, FindsWhatTheRouterNeeds) {
  const std::string text =
      "HTTP/1.1 503 Try again\r\nDate: now\r\nContent-Type: Application/JSON ; charset=utf-8\r\nRetry-After: 5\r\n"
      "Content-Encoding: gzip\r\nSet-Cookie: a\r\nSet-Cookie: b\r\nConnection: X-A\r\nContent-Length: 7\r\n\r\n";
  ResponseHead head;
  ASSERT_EQ(answer_fate(text, head), "");
  EXPECT_EQ(head.status, 503);
  EXPECT_EQ(head.version, 11);
  EXPECT_EQ(head.reason, "Try again");
  EXPECT_EQ(head.framing, BodyFraming::length);
  EXPECT_EQ(head.content_length, 7U);
  EXPECT_TRUE(head.has_content_length);
  EXPECT_TRUE(head.keep_alive);
  EXPECT_TRUE(head.json);
  EXPECT_FALSE(head.event_stream);
  EXPECT_EQ(head.content_encoding, "gzip");
  EXPECT_EQ(head.retry_after, "5");
  ASSERT_EQ(head.connection_option_count, 1U);
  EXPECT_EQ(head.connection_options[0], "X-A");
  EXPECT_EQ(head.fields().size(), 8U);
  ASSERT_EQ(answer_fate("HTTP/1.0 200\r\n\r\n", head), "");
  EXPECT_EQ(head.reason, "");
  EXPECT_EQ(head.retry_after, "");
  EXPECT_FALSE(head.json);
  EXPECT_FALSE(head.has_content_length);
  EXPECT_EQ(head.connection_option_count, 0U);
}

TEST(ResponseHead, ContentTypes) {
  struct Row {
    std::string type;
    bool stream, json;
  };
  const Row rows[] = {
      {"text/event-stream", true, false},
      {"Text/Event-Stream;charset=utf-8", true, false},
      {"text/event-streams", false, false},
      {"application/json", false, true},
      {"application/problem+JSON; x=y", false, true},
      {"+json", false, false},
      {"application/jsonl", false, false},
      {"", false, false},
  };
  for (const Row& row : rows) {
    ResponseHead head;
    ASSERT_EQ(answer_fate("HTTP/1.1 200 OK\r\nContent-Type: " + row.type + "\r\n\r\n", head), "");
    EXPECT_EQ(head.event_stream, row.stream) << row.type;
    EXPECT_EQ(head.json, row.json) << row.type;
  }
}

TEST(ResponseHead, Framing) {
  using Framing = BodyFraming;
  struct Row {
    std::string start, lines, method;
    Framing framing;
    bool keep_alive;
  };
  const std::string length = "Content-Length: 5\r\n";
  const std::string chunks = "Transfer-Encoding: chunked\r\n";
  const Row rows[] = {
      {"HTTP/1.1 200 OK", length, "GET", Framing::length, true},
      {"HTTP/1.1 200 OK", "Content-Length: 0\r\n", "GET", Framing::length, true},
      {"HTTP/1.1 200 OK", chunks, "GET", Framing::chunked, true},
      {"HTTP/1.1 200 OK", "", "GET", Framing::until_close, false},
      {"HTTP/1.1 200 OK", length + "Connection: close\r\n", "GET", Framing::length, false},
      {"HTTP/1.0 200 OK", length, "GET", Framing::length, false},
      {"HTTP/1.0 200 OK", length + "Connection: keep-alive\r\n", "GET", Framing::length, true},
      {"HTTP/1.1 200 OK", length, "HEAD", Framing::none, true},
      {"HTTP/1.1 200 OK", chunks, "HEAD", Framing::none, true},
      {"HTTP/1.1 200 OK", "", "HEAD", Framing::none, true},
      {"HTTP/1.1 304 Not Modified", length, "GET", Framing::none, true},
      {"HTTP/1.1 204 No Content", "", "GET", Framing::none, true},
      {"HTTP/1.1 204 No Content", "Content-Length: 0\r\n", "GET", Framing::none, true},
      {"HTTP/1.1 204 No Content", length, "GET", Framing::none, false},  // a body may follow
      {"HTTP/1.1 204 No Content", chunks, "GET", Framing::none, false},
      {"HTTP/1.1 100 Continue", "", "GET", Framing::none, true},
      {"HTTP/1.1 103 Early Hints", "Link: x\r\n", "GET", Framing::none, true},
      {"HTTP/1.1 205 Reset Content", length, "GET", Framing::length, true},
  };
  for (const Row& row : rows) {
    ResponseHead head;
    ASSERT_EQ(answer_fate(row.start + "\r\n" + row.lines + "\r\n", head, {row.method}), "") << row.start << row.lines;
    EXPECT_EQ(head.framing, row.framing) << row.method << " " << row.start << row.lines;
    EXPECT_EQ(head.keep_alive, row.keep_alive) << row.method << " " << row.start << row.lines;
  }
}

TEST(ResponseHead, Switching_OnlyWhenAskedFor) {
  const std::string text = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
  ResponseHead head;
  EXPECT_EQ(answer_fate(text, head, {"GET", true}), "");
  EXPECT_EQ(head.upgrade, "websocket");
  EXPECT_FALSE(head.keep_alive);
  EXPECT_EQ(answer_fate(text), "101 was not asked for");
  EXPECT_EQ(answer_fate("HTTP/1.0 101 x\r\n\r\n", {"GET", true}), "101 was not asked for");
  // CVE-2024-23326: another status is an answer, whatever its fields say.
  ASSERT_EQ(answer_fate("HTTP/1.1 200 OK\r\nConnection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 1\r\n\r\n",
                        head, {"GET", true}),
            "");
  EXPECT_EQ(head.framing, BodyFraming::length);
}

TEST(ResponseHead, ContentLength) {
  struct Row {
    std::string value, fate;
  };
  const std::string large = "Content-Length is too large";
  const std::string digits = "Content-Length must be digits only";
  const Row rows[] = {
      {"9223372036854775807", ""},
      {"9223372036854775808", large},
      {"18446744073709551615", large},
      {"18446744073709551616", large},
      {"18446744073709551621", large},
      {std::string(30, '1'), large},
      {"", "Content-Length is empty"},
      {"-1", digits},
      {"+5", digits},
      {"5, 5", digits},
      {"abc", digits},
      {"5\r\nContent-Length: 5", ""},
      {"5\r\ncontent-length: 6", "Content-Length is given twice with different values"},
      {"0\r\nContent-Length: 5", "Content-Length is given twice with different values"},
      {"5\r\nContent-Length:", "Content-Length is empty"},
  };
  for (const Row& row : rows)
    EXPECT_EQ(fate_with_lines("Content-Length: " + row.value + "\r\n"), row.fate) << row.value;
  EXPECT_EQ(answer_fate("HTTP/1.1 304 x\r\nContent-Length: x\r\n\r\n"), digits);
  EXPECT_EQ(fate_with_lines("Content_Length: 5\r\n"), "header field 'Content_Length' is not allowed");
}

TEST(ResponseHead, TransferEncoding) {
  const std::string only = "Transfer-Encoding is not exactly 'chunked'";
  EXPECT_EQ(fate_with_lines("Transfer-Encoding: Chunked\r\n"), "");
  for (const std::string value :
       {"", "gzip", "gzip, chunked", "chunked,", "identity", "xchunked", "chunked, chunked"}) {
    EXPECT_EQ(fate_with_lines("Transfer-Encoding: " + value + "\r\n"), only) << value;
  }
  EXPECT_EQ(fate_with_lines("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
            "Transfer-Encoding is given twice");
  EXPECT_EQ(fate_with_lines("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"),
            "Content-Length and Transfer-Encoding together are not allowed");
  EXPECT_EQ(fate_with_lines("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"),
            "Content-Length and Transfer-Encoding together are not allowed");
  EXPECT_EQ(answer_fate("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
            "Transfer-Encoding is not allowed in HTTP/1.0");
  EXPECT_EQ(fate_with_lines("Transfer_Encoding: chunked\r\n"), "header field 'Transfer_Encoding' is not allowed");
}

TEST(ResponseHead, StatusLines) {
  const std::string other = "the answer does not begin with HTTP/1.1 or HTTP/1.0 and a status";
  for (const std::string line :
       {"HTTP/1.2 200 OK", "HTTP/2.0 200 OK", "HTTP/0.9 200 OK", "HTTP/2 200", "http/1.1 200 OK", "HTTP/1.1  200 OK",
        "HTTP/1.1 20 OK", "HTTP/1.1 2x0 OK", "HTTP/1.1 +20 OK", "<html>", "200 OK", " HTTP/1.1 200 OK",
        "\r\nHTTP/1.1 200 OK", "HTTP/1.1\t200 OK", "ICY 200 OK"}) {
    EXPECT_EQ(answer_fate(line + "\r\n\r\n"), other) << line;
  }
  EXPECT_EQ(answer_fate("HTTP/1.1 099 x\r\n\r\n"), "the status 99 is not from 100 to 599");
  EXPECT_EQ(answer_fate("HTTP/1.1 000 x\r\n\r\n"), "the status 0 is not from 100 to 599");
  EXPECT_EQ(answer_fate("HTTP/1.1 600 x\r\n\r\n"), "the status 600 is not from 100 to 599");
  EXPECT_EQ(answer_fate("HTTP/1.1 999 x\r\n\r\n"), "the status 999 is not from 100 to 599");
  for (const std::string line : {"HTTP/1.1 2000 OK", "HTTP/1.1 200OK", "HTTP/1.1 200\tOK", "HTTP/1.1 200 O\rK",
                                 "HTTP/1.1 200 O\x01K", "HTTP/1.1 200 O\x7fK", "HTTP/1.1 200 OK\r"}) {
    EXPECT_EQ(answer_fate(line + "\r\n\r\n"), "the status line is malformed") << line;
  }
  EXPECT_EQ(answer_fate("HTTP/1.1 200 OK\n\r\n"), "the status line ends in a bare LF");
  EXPECT_EQ(answer_fate("HTTP/1.1 200 " + std::string(1025, 'x') + "\r\n\r\n"),
            "the reason phrase is longer than 1024 bytes");
  for (const std::string line : {"HTTP/1.1 200", "HTTP/1.1 200 ", "HTTP/1.1 599 \xc3\xa4\t!", "HTTP/1.0 100 x"}) {
    EXPECT_EQ(answer_fate(line + "\r\n\r\n"), "") << line;
  }
}

TEST(ResponseHead, FieldSyntax) {
  using namespace std::string_literals;
  struct Row {
    std::string lines, fate;
  };
  const Row rows[] = {
      {": x\r\n", "a header field has no name"},
      {"A : x\r\n", "a header field's name is not valid"},
      {"A\r\n", "a header field's name is not valid"},
      {"A: x\n", "a line of the header ends in a bare LF"},
      {"A: x\ry\r\n", "a line of the header has a bare CR"},
      {"A: x\0\r\n"s, "the value of header field 'A' has a control character"},
      {"A: x\x1b\r\n", "the value of header field 'A' has a control character"},
      {"A: x\x7f\r\n", "the value of header field 'A' has a control character"},
      {"A: x\r\n y\r\n", "header lines must not be folded"},
      {"A: " + std::string(8192, 'x') + "\r\n", "a header field is longer than 8192 bytes"},
      {"A: \xff\t\r\n", ""},
  };
  for (const Row& row : rows) EXPECT_EQ(fate_with_lines(row.lines), row.fate) << row.lines.substr(0, 40);
  std::string many;
  for (int i = 0; i < 10'000; ++i) many += "a:\r\n";
  EXPECT_EQ(fate_with_lines(many), "the answer has more than 100 header fields");
  const std::string head = "HTTP/1.1 200 OK\r\nA: b\r\n\r\n";
  Asked asked;
  asked.limits.head_bytes = head.size();
  EXPECT_EQ(answer_fate(head, asked), "");
  EXPECT_EQ(answer_fate("HTTP/1.1 200 OK\r\nA: bc\r\n\r\n", asked), "the answer's head is larger than 25 bytes");
}

TEST(ResponseHead, PiecesMeanTheSameAsTheWhole) {
  const std::string good = "HTTP/1.1 200 OK\r\nA: b\r\nContent-Length: 5\r\n\r\n";
  for (std::size_t piece = 1; piece <= good.size(); ++piece) {
    ResponseHead head;
    ResponseReading reading;
    std::size_t scanned = 0;
    for (std::size_t size = piece; reading.state == HeadState::incomplete; size += piece) {
      ASSERT_LE(scanned, good.size());
      const auto buffer = std::string_view(good).substr(0, size);
      reading = read_response_head(buffer, scanned, "GET", false, {}, head);
      ASSERT_EQ(reading.state == HeadState::complete, buffer.size() == good.size());
      scanned = buffer.size();
    }
    EXPECT_EQ(reading.bytes, good.size());
    EXPECT_EQ(head.content_length, 5U);
  }
}

}  // namespace
}  // namespace svc::router
