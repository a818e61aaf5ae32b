// What the router writes to the client: answers that are passed on, and its own; Via and the kinds of fields.
#include <gtest/gtest.h>

#include <string>

#include "router/core/http1/field_kind.hpp"
#include "router/core/http1/forward_head.hpp"
#include "tests/unit/router/has.hpp"

namespace svc::router {
namespace {

/// The head for the client.
std::string pass_on(const std::string& answer, AnswerContext context, std::string_view method = "GET") {
  ResponseHead head;
  if (read_response_head(answer, 0, method, context.keep_upgrade, {}, head).state != HeadState::complete) {
    return "refused";
  }
  if (context.framing == BodyFraming::none) context.framing = head.framing;
  context.request_id = "id1";
  std::string out;
  append_answer_head(out, head, context);
  return out;
}

TEST(ForwardAnswer, Whole) {
  EXPECT_EQ(pass_on("HTTP/1.1 201 Made it\r\nSet-Cookie: a\r\nServer: s\r\nset-cookie:b\r\nSet-Cookie: a\r\n"
                    "Connection: X-A\r\nX-A: 1\r\nKeep-Alive: timeout=5\r\nTrailer: x\r\nX-Request-Id: theirs\r\n"
                    "Content-Length: 007\r\nContent-Length: 7\r\nProxy-Authenticate: x\r\nx_y: z\r\n\r\n",
                    {}),
            "HTTP/1.1 201 Made it\r\nSet-Cookie: a\r\nServer: s\r\nset-cookie: b\r\nSet-Cookie: a\r\nx_y: z\r\n"
            "X-Request-Id: id1\r\nContent-Length: 7\r\n\r\n");
}

TEST(ForwardAnswer, FramingIsWrittenAnew) {
  const std::string chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: CHUNKED\r\n\r\n";
  AnswerContext context;
  EXPECT_TRUE(has(pass_on(chunked, context), "\r\nTransfer-Encoding: chunked\r\n"));
  context.framing = BodyFraming::until_close;
  context.client_version = 10;
  const auto out = pass_on(chunked, context);
  EXPECT_FALSE(has(out, "ransfer-"));
  EXPECT_TRUE(has(out, "\r\nConnection: close\r\n"));

  const std::string lines = "\r\nContent-Length: 5\r\n\r\n";
  EXPECT_TRUE(has(pass_on("HTTP/1.1 304 x" + lines, {}), "\r\nContent-Length: 5\r\n"));
  EXPECT_TRUE(has(pass_on("HTTP/1.1 200 x" + lines, {}, "HEAD"), "\r\nContent-Length: 5\r\n"));
  EXPECT_FALSE(has(pass_on("HTTP/1.1 204 x" + lines, {}), "Length"));
  EXPECT_FALSE(has(pass_on("HTTP/1.1 103 x" + lines, {}), "Length"));
}

TEST(ForwardAnswer, Connection) {
  const std::string answer = "HTTP/1.1 200\r\nContent-Length: 5\r\n\r\n";
  EXPECT_EQ(pass_on(answer, {}), "HTTP/1.1 200 \r\nX-Request-Id: id1\r\nContent-Length: 5\r\n\r\n");
  AnswerContext context;
  context.client_version = 10;
  EXPECT_TRUE(has(pass_on(answer, context), "\r\nConnection: keep-alive\r\n"));
  context.close = true;
  EXPECT_TRUE(has(pass_on(answer, context), "\r\nConnection: close\r\n"));
  EXPECT_FALSE(has(pass_on("HTTP/1.1 100 Continue\r\n\r\n", context), "Connection"));
}

TEST(ForwardAnswer, Upgrade) {
  const std::string lines = "\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
  AnswerContext context;
  context.keep_upgrade = true;
  EXPECT_TRUE(has(pass_on("HTTP/1.1 101 x" + lines, context), "\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"));
  EXPECT_FALSE(has(pass_on("HTTP/1.1 200 x" + lines, context), "pgrade"));
}

TEST(ForwardAnswer, RouteAndVia) {
  AnswerContext context;
  context.route_upstream = "u1";
  context.attempts = 2;
  context.via = "me";
  const auto out = pass_on("HTTP/1.0 200 OK\r\nX-Router-Upstream: forged\r\nX-Router-Attempts: 9\r\n\r\n", context);
  EXPECT_TRUE(has(out, "\r\nX-Router-Upstream: u1\r\nX-Router-Attempts: 2\r\n"));
  EXPECT_FALSE(has(out, "forged"));
  EXPECT_TRUE(has(out, "\r\nVia: 1.0 me\r\n"));
}

TEST(OwnAnswer, Whole) {
  std::string out;
  append_own_answer(out, 503, "application/json", "{}", "id1", true, false, 11, "Retry-After: 1\r\n");
  EXPECT_EQ(out,
            "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nContent-Length: 2\r\n"
            "X-Request-Id: id1\r\nRetry-After: 1\r\nConnection: close\r\n\r\n{}");
  out.clear();
  append_own_answer(out, 200, "text/plain", "body", "", false, true, 10);
  EXPECT_EQ(out, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 4\r\nConnection: keep-alive\r\n\r\n");
  out.clear();
  append_own_answer(out, 204, "text/plain", "body", "", false, false, 11);
  EXPECT_EQ(out, "HTTP/1.1 204 No Content\r\n\r\n");
}

TEST(OwnAnswer, ReasonPhrases) {
  EXPECT_EQ(reason_phrase(404), "404 Not Found");
  EXPECT_EQ(reason_phrase(508), "508 Loop Detected");
  EXPECT_EQ(reason_phrase(418), "418 Unknown");
  EXPECT_EQ(reason_phrase(599), "599 Unknown");
  EXPECT_EQ(reason_phrase(100), "100 Continue");
  for (const int status : {-1, 0, 99, 600, 1000}) EXPECT_EQ(reason_phrase(status), "500 Internal Server Error");
}

TEST(Via, NamesUs) {
  for (const std::string_view via :
       {"1.1 me", "1.0 other, 1.1 ME", "HTTP/1.1 me (comment)", "1.1\tme(c)", "1.1 a (x, 1.1 me", ",, 1.1  me ,"}) {
    EXPECT_TRUE(via_names(via, "me")) << via;
  }
  for (const std::string_view via : {"", "me", "1.1 mee", "1.1 m", "1.1 other me", "1.1 me:80", "1.1 other (me)"}) {
    EXPECT_FALSE(via_names(via, "me")) << via;
  }
  EXPECT_FALSE(via_names("1.1 ", ""));
  RequestHead head;
  const std::string request = "GET / HTTP/1.1\r\nHost: a\r\nVia: 1.1 x\r\nVia: 1.1 me\r\n\r\n";
  ASSERT_EQ(read_request_head(request, 0, {}, head).state, HeadState::complete);
  EXPECT_TRUE(came_through(head, "me"));
  EXPECT_FALSE(came_through(head, "you"));
}

TEST(FieldKinds, ByNameInAnyCase) {
  using enum FieldKind;
  EXPECT_EQ(field_kind("CONTENT-length"), content_length);
  EXPECT_EQ(field_kind("transfer-Encoding"), transfer_encoding);
  EXPECT_EQ(field_kind("X-Forwarded-Prefix"), forwarded);
  EXPECT_EQ(field_kind("x-forwarded-"), forwarded);
  EXPECT_EQ(field_kind("X_Forwarded_For"), underscored);
  EXPECT_EQ(field_kind("x-forwarded_for"), underscored);
  EXPECT_EQ(field_kind("Content_Length"), underscored);
  EXPECT_EQ(field_kind("X-Forwarde"), other);
  EXPECT_EQ(field_kind("Content-Lengtx"), other);
  EXPECT_EQ(field_kind("xost"), other);
  EXPECT_EQ(field_kind("t"), other);
  EXPECT_EQ(field_kind("TE"), hop_by_hop);
  EXPECT_EQ(field_kind("via"), via);
  EXPECT_EQ(field_kind("~"), other);
}

}  // namespace
}  // namespace svc::router
