// read_request_head: what it finds in good heads, and how it takes heads that come in pieces.
#include "router/core/http1/request_head.hpp"

#include <gtest/gtest.h>

#include <string>

#include "head_reading.hpp"

namespace svc::router {
namespace {

using test::fate;
using test::with_lines;

TEST(RequestHead, FindsWhatTheRouterNeeds) {
  const std::string text =
      "POST /v1/chat/completions?a=b&c HTTP/1.1\r\n"
      "Host: llm.example.com:8080\r\n"
      "content-TYPE:application/json\r\n"
      "Authorization:  Bearer k \t\r\n"
      "X-Forwarded-For: 1.2.3.4\r\nX-Forwarded-For: 5.6.7.8\r\n"
      "X-Forwarded-Proto: https\r\nX-Forwarded-Host: outer\r\n"
      "X-Request-Id: r1\r\nX-Request-Id: r2\r\ntraceparent: 00-a\r\ntracestate: s\r\n"
      "Via: 1.1 x\r\nUser-Agent: curl\r\nCookie: c=1\r\nContent-Length: 12\r\nExpect: 100-Continue\r\n\r\n";
  RequestHead head;
  ASSERT_EQ(fate(text, head), "");
  EXPECT_EQ(head.method, "POST");
  EXPECT_EQ(head.target, "/v1/chat/completions?a=b&c");
  EXPECT_EQ(head.path, "/v1/chat/completions");
  EXPECT_EQ(head.query, "a=b&c");
  EXPECT_EQ(head.version, 11);
  EXPECT_EQ(head.host, "llm.example.com:8080");
  EXPECT_EQ(head.content_type, "application/json");
  EXPECT_EQ(head.authorization, "Bearer k");
  EXPECT_EQ(head.forwarded_for, "1.2.3.4");
  EXPECT_TRUE(head.more_forwarded_for);
  EXPECT_EQ(head.forwarded_proto, "https");
  EXPECT_EQ(head.forwarded_host, "outer");
  EXPECT_EQ(head.request_id, "r1");
  EXPECT_EQ(head.traceparent, "00-a");
  EXPECT_EQ(head.tracestate, "s");
  EXPECT_EQ(head.via, "1.1 x");
  EXPECT_EQ(head.user_agent, "curl");
  EXPECT_EQ(head.content_length, 12U);
  EXPECT_TRUE(head.has_body());
  EXPECT_TRUE(head.expect_continue);
  EXPECT_TRUE(head.keep_alive);
  EXPECT_FALSE(head.chunked);
  EXPECT_EQ(head.field("cookie"), "c=1");
  EXPECT_EQ(head.field("nothing"), "");
  EXPECT_EQ(head.fields().size(), 16U);
  EXPECT_EQ(head.fields()[1].name, "content-TYPE");
}

TEST(RequestHead, NothingStaysFromTheRequestBefore) {
  RequestHead head;
  ASSERT_EQ(fate("POST /a?b HTTP/1.0\r\nHost: a\r\nConnection: x, upgrade\r\nUpgrade: h2c\r\nVia: v\r\n"
                 "X-Forwarded-For: 1\r\nX-Forwarded-For: 2\r\nContent-Length: 5\r\n\r\n",
                 head),
            "");
  ASSERT_EQ(fate("GET / HTTP/1.1\r\nHost: b\r\n\r\n", head), "");
  EXPECT_EQ(head.query, "");
  EXPECT_EQ(head.host, "b");
  EXPECT_EQ(head.via, "");
  EXPECT_EQ(head.upgrade, "");
  EXPECT_EQ(head.forwarded_for, "");
  EXPECT_FALSE(head.more_forwarded_for);
  EXPECT_FALSE(head.content_length);
  EXPECT_EQ(head.connection_option_count, 0U);
  EXPECT_EQ(head.fields().size(), 1U);
  EXPECT_TRUE(head.keep_alive);
  EXPECT_EQ(head.version, 11);
}

TEST(RequestHead, KeepAlive_ByVersionAndConnection) {
  struct Row {
    std::string version, lines;
    bool keep;
  };
  const Row rows[] = {
      {"1.1", "", true},
      {"1.1", "Connection: close\r\n", false},
      {"1.1", "Connection: x\r\nConnection: CLOSE\r\n", false},
      {"1.1", "Connection: keep-alive, , close\r\n", false},
      {"1.1", "Connection: closed\r\n", true},
      {"1.0", "", false},
      {"1.0", "Connection: Keep-Alive\r\n", true},
      {"1.0", "Connection: keep-alive, close\r\n", false},
  };
  for (const Row& row : rows) {
    RequestHead head;
    ASSERT_EQ(fate("GET / HTTP/" + row.version + "\r\nHost: a\r\n" + row.lines + "\r\n", head), "");
    EXPECT_EQ(head.keep_alive, row.keep) << row.version << " " << row.lines;
  }
}

TEST(RequestHead, ConnectionOptions_AreListed) {
  RequestHead head;
  ASSERT_EQ(
      fate("GET / HTTP/1.1\r\nHost: a\r\nConnection: close, X-A ,\tx-b,,not a token\r\nConnection: te\r\n\r\n", head),
      "");
  ASSERT_EQ(head.connection_option_count, 3U);
  EXPECT_EQ(head.connection_options[0], "X-A");
  EXPECT_EQ(head.connection_options[1], "x-b");
  EXPECT_EQ(head.connection_options[2], "te");

  std::string sixteen = "Connection: o";
  for (int i = 1; i < 16; ++i) sixteen += ",o";
  EXPECT_EQ(with_lines(sixteen + "\r\n"), "");
  EXPECT_EQ(with_lines(sixteen + ",close,keep-alive\r\n"), "");
  EXPECT_EQ(with_lines(sixteen + ",o\r\n"), "400 Connection has too many options");
}

TEST(RequestHead, Upgrade_NeedsBothFieldsAndNoBody) {
  struct Row {
    std::string start, lines;
    bool wants;
  };
  const std::string both = "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n";
  const Row rows[] = {
      {"GET / HTTP/1.1", both, true},
      {"GET / HTTP/1.1", both + "Content-Length: 0\r\n", true},
      {"GET / HTTP/1.0", both, false},
      {"GET / HTTP/1.1", "Upgrade: websocket\r\n", false},
      {"GET / HTTP/1.1", "Connection: upgrade\r\n", false},
      {"GET / HTTP/1.1", both + "Upgrade: h2c\r\n", false},
      {"POST / HTTP/1.1", both + "Content-Length: 5\r\n", false},
      {"POST / HTTP/1.1", both + "Transfer-Encoding: chunked\r\n", false},
  };
  for (const Row& row : rows) {
    RequestHead head;
    ASSERT_EQ(fate(row.start + "\r\nHost: a\r\n" + row.lines + "\r\n", head), "");
    EXPECT_EQ(head.wants_upgrade, row.wants) << row.start << "\n" << row.lines;
  }
}

TEST(RequestHead, Expect_OnlyContinue) {
  RequestHead head;
  ASSERT_EQ(fate("POST / HTTP/1.0\r\nHost: a\r\nExpect: 100-continue\r\n\r\n", head), "");
  EXPECT_FALSE(head.expect_continue);  // an HTTP/1.0 client cannot read a 100
  EXPECT_EQ(with_lines("Expect: 200-ok\r\n"), "417 only 'Expect: 100-continue' is supported");
  EXPECT_EQ(with_lines("Expect:\r\n"), "417 only 'Expect: 100-continue' is supported");
  EXPECT_EQ(with_lines("Expect: 100-continue\r\nExpect: x\r\n"), "417 only 'Expect: 100-continue' is supported");
}

TEST(RequestHead, AbsoluteTargets_AreTakenInOriginForm) {
  struct Row {
    std::string target, host, path, fate;
  };
  const std::string differ = "400 Host and the request target do not name the same server";
  const Row rows[] = {
      {"http://a:81/x?y", "a:81", "/x", ""},
      {"HTTPS://A/x", "a", "/x", ""},
      {"http://a", "a", "/", ""},
      {"http://a:80/", "a", "", differ},
      {"http://b/x", "a", "", differ},
      {"http://a@b/x", "a", "", "400 the request target must be a path or an http:// URL"},
      {"http://a?x", "a", "", "400 the request target must be a path or an http:// URL"},
      {"http:///x", "a", "", "400 the request target must be a path or an http:// URL"},
      {"ftp://a/x", "a", "", "400 the request target must be a path or an http:// URL"},
      {"x", "a", "", "400 the request target must start with '/'"},
      {"*", "a", "", "400 the request target must start with '/'"},
      {"a:80", "a", "", "400 the request target must start with '/'"},
  };
  for (const Row& row : rows) {
    RequestHead head;
    const std::string text = "GET " + row.target + " HTTP/1.1\r\nHost: " + row.host + "\r\n\r\n";
    ASSERT_EQ(fate(text, head), row.fate) << row.target;
    if (row.fate.empty()) {
      EXPECT_EQ(head.path, row.path);
    }
  }
  RequestHead head;
  ASSERT_EQ(fate("GET http://a:7/x HTTP/1.0\r\n\r\n", head), "");
  EXPECT_EQ(head.host, "a:7");
  ASSERT_EQ(fate("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", head), "");
  EXPECT_EQ(head.path, "*");
}

TEST(RequestHead, UpToTwoEmptyLinesBefore) {
  const std::string request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
  EXPECT_EQ(fate("\r\n" + request), "");
  EXPECT_EQ(fate("\r\n\r\n" + request), "");
  EXPECT_EQ(fate("\r\n\r\n\r\n" + request).substr(0, 3), "400");
  EXPECT_EQ(fate("\n" + request).substr(0, 3), "400");
  EXPECT_EQ(fate("\r\n\r"), "incomplete");
  EXPECT_EQ(fate("\r\n"), "incomplete");
  EXPECT_EQ(fate(""), "incomplete");
}

TEST(RequestHead, WhatFollowsIsNotTouched) {
  const std::string request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
  RequestHead head;
  const auto reading = read_request_head(request + "GET", 0, {}, head);
  ASSERT_EQ(reading.state, HeadState::complete);
  EXPECT_EQ(reading.bytes, request.size());
}

TEST(RequestHead, PiecesMeanTheSameAsTheWhole) {
  const std::string good = "\r\nPOST /x HTTP/1.1\r\nHost: a\r\nX:\ty\r\nContent-Length: 5\r\n\r\n";
  for (std::size_t piece = 1; piece <= good.size(); ++piece) {
    RequestHead head;
    std::size_t scanned = 0;
    HeadReading reading;
    for (std::size_t size = piece; reading.state == HeadState::incomplete; size += piece) {
      ASSERT_LE(scanned, good.size());
      const auto buffer = std::string_view(good).substr(0, size);
      reading = read_request_head(buffer, scanned, {}, head);
      ASSERT_EQ(reading.state == HeadState::complete, buffer.size() == good.size());
      scanned = buffer.size();
    }
    ASSERT_EQ(reading.state, HeadState::complete) << piece;
    EXPECT_EQ(reading.bytes, good.size());
    EXPECT_EQ(head.content_length, 5U);
    EXPECT_EQ(head.fields().size(), 3U);
  }
}

/// How many bytes of `text`, one at a time, until it is refused.
std::size_t refused_after(std::string_view text) {
  RequestHead head;
  for (std::size_t size = 1; size <= text.size(); ++size) {
    if (read_request_head(text.substr(0, size), size - 1, {}, head).state == HeadState::refused) return size;
  }
  return 0;
}

TEST(RequestHead, BadBeginningsAreRefusedAtOnce) {
  EXPECT_EQ(refused_after("\x16\x03\x01\x02"), 1U);
  EXPECT_EQ(refused_after("GET /\r\n"), 7U);  // its request line is over
  EXPECT_EQ(refused_after("GET / HTTP/2.0\r\n"), 16U);
  EXPECT_EQ(refused_after("GET / HTTP/1.1\r\nHost: a\nX"), 24U);
  EXPECT_EQ(refused_after("GET / HTTP/1.1\r\nA: b\r\n\r\n"), 24U);
  const std::string long_target = "GET /" + std::string(9000, 'x');
  const std::size_t at = refused_after(long_target);
  EXPECT_GT(at, 8 * 1024U);
  EXPECT_LT(at, 8 * 1024U + 200);
  EXPECT_NE(refused_after(std::string(9000, 'G')), 0U);
}

}  // namespace
}  // namespace svc::router
