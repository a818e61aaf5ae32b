// append_request_head: what the upstream gets to see.
#include "router/core/http1/forward_head.hpp"

#include <gtest/gtest.h>

#include <string>

#include "tests/unit/router/has.hpp"

namespace svc::router {
namespace {

ForwardContext plain_context() {
  ForwardContext context;
  context.upstream_host = "10.0.0.1:5001";
  context.client_address = "192.0.2.7";
  context.request_id = "id1";
  context.via = "me";
  return context;
}

/// The head for the upstream; "refused" when the request is not legal.
std::string forward(const std::string& request, const ForwardContext& context) {
  RequestHead head;
  if (read_request_head(request, 0, {}, head).state != HeadState::complete) return "refused";
  std::string out;
  append_request_head(out, head, context);
  return out;
}

std::string forward_lines(const std::string& lines, const ForwardContext& context = plain_context()) {
  return forward("GET /x?y HTTP/1.1\r\nHost: router:80\r\n" + lines + "\r\n", context);
}

/// Any field of that name, in any case of letters.
bool has_field(std::string text, std::string name) {
  for (std::string* one : {&text, &name}) {
    for (char& c : *one) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  }
  return has(text, "\r\n" + name + ":");
}

TEST(ForwardRequest, Whole) {
  auto context = plain_context();
  context.traceparent = "00-t";
  context.body_bytes = 12;
  EXPECT_EQ(
      forward("POST /x?y HTTP/1.1\r\nHost: router:80\r\nAccept: a\r\nCookie:c\r\nAccept: b\r\nConnection: close\r\n"
              "Content-Length: 12\r\nB:  1 \r\nExpect: 100-continue\r\n\r\n",
              context),
      "POST /x?y HTTP/1.1\r\nHost: 10.0.0.1:5001\r\nAccept: a\r\nCookie: c\r\nAccept: b\r\nB: 1\r\n"
      "X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: router:80\r\n"
      "X-Request-Id: id1\r\ntraceparent: 00-t\r\nVia: 1.1 me\r\nContent-Length: 12\r\n\r\n");
}

TEST(ForwardRequest, NoBody_NoContentLength) {
  EXPECT_FALSE(has_field(forward_lines("Content-Length: 0\r\n"), "content-length"));
  EXPECT_FALSE(has_field(forward_lines("Transfer-Encoding: chunked\r\n"), "transfer-encoding"));
  auto context = plain_context();
  context.body_bytes = 0;
  EXPECT_TRUE(has(forward_lines("", context), "\r\nContent-Length: 0\r\n"));
}

TEST(ForwardRequest, HopByHopIsLeftOut) {
  for (const std::string name : {"Connection", "Keep-Alive", "Proxy-Connection", "Proxy-Authorization",
                                 "Proxy-Authenticate", "Proxy-Authentication-Info", "TE", "Trailer", "Trailers",
                                 "Upgrade", "HTTP2-Settings", "Proxy", "X_Forwarded_For", "x_real_ip", "A_B"}) {
    EXPECT_FALSE(has_field(forward_lines(name + ": x\r\n"), name)) << name;
  }
}

TEST(ForwardRequest, WhatConnectionNamesIsLeftOut) {
  const auto out = forward_lines("X-A: 1\r\nConnection: x-a, X-B\r\nX-B: 2\r\nx-b: 3\r\nX-C: 4\r\n");
  EXPECT_FALSE(has_field(out, "X-A"));
  EXPECT_FALSE(has_field(out, "X-B"));
  EXPECT_TRUE(has(out, "\r\nX-C: 4\r\n"));
}

// CVE-2022-31813, CVE-2025-48865.
TEST(ForwardRequest, ConnectionCannotTakeOursAway) {
  auto context = plain_context();
  context.traceparent = "00-t";
  context.authorization = "Bearer engine";
  context.body_bytes = 1;
  const std::string names =
      "X-Forwarded-For, X-Forwarded-Proto, X-Forwarded-Host, Host, Via, X-Request-Id, traceparent, Authorization, "
      "Content-Length";
  const auto plain = forward_lines("", context);
  EXPECT_EQ(forward_lines("Connection: " + names + "\r\n", context), plain);
  EXPECT_TRUE(has(plain, "\r\nX-Forwarded-For: 192.0.2.7\r\n"));

  context.trust_forwarded = true;
  const auto trusted = forward_lines(
      "Connection: X-Forwarded-For, X-Forwarded-Port, X-Real-IP, Forwarded\r\nX-Forwarded-For: 1.1.1.1\r\n"
      "X-Forwarded-Port: 8\r\nX-Real-IP: 1.1.1.1\r\n",
      context);
  EXPECT_TRUE(has(trusted, "\r\nX-Forwarded-For: 1.1.1.1, 192.0.2.7\r\n"));
  EXPECT_TRUE(has(trusted, "\r\nX-Forwarded-Port: 8\r\n"));
  EXPECT_TRUE(has(trusted, "\r\nX-Real-IP: 1.1.1.1\r\n"));
}

TEST(ForwardRequest, ForwardedFields_OnlyOfTrustedProxies) {
  const std::string lines =
      "X-Forwarded-For: 1.1.1.1\r\nx-forwarded-for: 2.2.2.2\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: outer\r\n"
      "X-Forwarded-Port: 443\r\nX-Forwarded-Anything: 1\r\nX-Real-IP: 1.1.1.1\r\nForwarded: for=1.1.1.1\r\n";
  const auto plain = forward_lines(lines);
  EXPECT_EQ(plain, forward_lines(""));

  auto context = plain_context();
  context.trust_forwarded = true;
  context.scheme = "http";
  const auto trusted = forward_lines(lines, context);
  EXPECT_TRUE(has(trusted, "\r\nX-Forwarded-For: 1.1.1.1, 2.2.2.2, 192.0.2.7\r\n"));
  EXPECT_TRUE(has(trusted, "\r\nX-Forwarded-Proto: https\r\n"));
  EXPECT_TRUE(has(trusted, "\r\nX-Forwarded-Host: outer\r\n"));
  EXPECT_TRUE(has(trusted, "\r\nX-Forwarded-Port: 443\r\n"));
  EXPECT_TRUE(has(trusted, "\r\nForwarded: for=1.1.1.1\r\n"));
  EXPECT_FALSE(has(trusted, "X-Forwarded-Host: router"));

  context.scheme = "https";
  EXPECT_TRUE(has(forward_lines("", context), "\r\nX-Forwarded-Proto: https\r\n"));
  EXPECT_TRUE(has(forward_lines("X-Forwarded-For:\r\n", context), "\r\nX-Forwarded-For: 192.0.2.7\r\n"));
  EXPECT_FALSE(has_field(forward("GET / HTTP/1.0\r\n\r\n", context), "X-Forwarded-Host"));
}

TEST(ForwardRequest, Authorization) {
  const std::string lines = "Authorization: Bearer client\r\n";
  EXPECT_TRUE(has(forward_lines(lines), "\r\nAuthorization: Bearer client\r\n"));
  auto context = plain_context();
  context.drop_authorization = true;
  EXPECT_FALSE(has_field(forward_lines(lines + lines, context), "Authorization"));
  context.authorization = "Bearer engine";
  const auto out = forward_lines(lines, context);
  EXPECT_TRUE(has(out, "\r\nAuthorization: Bearer engine\r\n"));
  EXPECT_FALSE(has(out, "client"));
  context.drop_authorization = false;
  EXPECT_FALSE(has(forward_lines(lines, context), "client"));
}

TEST(ForwardRequest, RequestIdAndTraceAreOurs) {
  const std::string trace = "0123456789abcdef0123456789abcdef";
  auto context = plain_context();
  const std::string ours = "00-" + trace + "-1111111111111111-01";
  context.traceparent = ours;
  auto out = forward_lines(
      "X-Request-Id: theirs\r\ntraceparent: 00-" + trace + "-2222222222222222-01\r\ntracestate: s\r\n", context);
  EXPECT_FALSE(has(out, "theirs"));
  EXPECT_FALSE(has(out, "2222222222222222"));
  EXPECT_TRUE(has(out, "\r\ntraceparent: " + ours + "\r\n"));
  EXPECT_TRUE(has(out, "\r\ntracestate: s\r\n"));
  out = forward_lines("traceparent: bad\r\ntracestate: s\r\n", context);
  EXPECT_FALSE(has_field(out, "tracestate"));  // of a trace that is not continued
  EXPECT_FALSE(has_field(forward_lines("traceparent: 00-x\r\n"), "traceparent"));
}

TEST(ForwardRequest, ViaIsAppended) {
  EXPECT_TRUE(has(forward_lines("Via: 1.0 a, 1.1 b\r\nVia: 1.1 c\r\n"), "\r\nVia: 1.0 a, 1.1 b, 1.1 c, 1.1 me\r\n"));
  EXPECT_TRUE(has(forward_lines("Via:\r\n"), "\r\nVia: 1.1 me\r\n"));
  EXPECT_TRUE(has(forward("GET / HTTP/1.0\r\n\r\n", plain_context()), "\r\nVia: 1.0 me\r\n"));
  auto context = plain_context();
  context.via = {};
  EXPECT_TRUE(has(forward_lines("Via: 1.1 a\r\n", context), "\r\nVia: 1.1 a\r\n"));
}

TEST(ForwardRequest, Upgrade) {
  const std::string lines = "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k\r\n";
  auto context = plain_context();
  EXPECT_FALSE(has_field(forward_lines(lines, context), "upgrade"));
  context.keep_upgrade = true;
  const auto out = forward_lines(lines, context);
  EXPECT_TRUE(has(out, "\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"));
  EXPECT_TRUE(has(out, "\r\nSec-WebSocket-Key: k\r\n"));
  EXPECT_FALSE(has(out, "keep-alive"));
}

}  // namespace
}  // namespace svc::router
