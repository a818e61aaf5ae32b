// The HTTP server over loopback: limits at n and n+1, deadlines, framing, drain.
#include <boost/asio/post.hpp>

#include "tests/support/http_fixture.hpp"

namespace svc {
namespace {

using namespace std::chrono_literals;
using test::HttpFixture;
using test::RawClient;

constexpr std::size_t kBodyLimit = 100;

asio::awaitable<HttpResponse> echo(const HttpRequest& request) {
  HttpResponse response;
  response.body = "[" + std::string(request.body) + "]";
  co_return response;
}

asio::awaitable<HttpResponse> fail(const HttpRequest&) {
  throw std::runtime_error("boom");
  co_return HttpResponse{};
}

HttpRoutes routes() {
  HttpRoutes table;
  table.add("POST", "/echo", HttpRoute{echo, Access::open, kBodyLimit, false});
  table.add("GET", "/echo", HttpRoute{echo, Access::open, 0, false});
  table.add("GET", "/fail", HttpRoute{fail, Access::open, 0, false});
  return table;
}

std::string post(std::size_t bytes) {
  return "POST /echo HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: " + std::to_string(bytes) +
         "\r\n\r\n" + std::string(bytes, 'x');
}

std::string get(const std::string& extra, const std::string& target = "/echo") {
  return "GET " + target + " HTTP/1.1\r\nHost: h\r\nConnection: close\r\n" + extra + "\r\n";
}

bool has_status(const std::string& answer, int status) {
  return answer.starts_with("HTTP/1.1 " + std::to_string(status) + " ");
}

class HttpServerTest : public HttpFixture {};

TEST_F(HttpServerTest, Body_AtLimitAndOneMore_AcceptedAnd413) {
  serve(routes());
  run([](HttpServerTest& t) -> asio::awaitable<void> {
    const auto fits = co_await t.ask(post(kBodyLimit));
    EXPECT_TRUE(has_status(fits, 200)) << fits;
    const auto too_large = co_await t.ask(post(kBodyLimit + 1));
    EXPECT_TRUE(has_status(too_large, 413)) << too_large;
    EXPECT_NE(too_large.find("larger than the 100 bytes"), std::string::npos);
    co_await t.stop_server();
  }(*this));
}

TEST_F(HttpServerTest, ChunkedBody_AtLimitAndOneMore_AcceptedAnd413) {
  serve(routes());
  run([](HttpServerTest& t) -> asio::awaitable<void> {
    const std::string head =
        "POST /echo HTTP/1.1\r\nHost: h\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n";
    const std::string fifty = "32\r\n" + std::string(50, 'x') + "\r\n";
    const auto fits = co_await t.ask(head + fifty + fifty + "0\r\n\r\n");
    EXPECT_TRUE(has_status(fits, 200)) << fits;
    EXPECT_NE(fits.find("[" + std::string(100, 'x') + "]"), std::string::npos);
    const auto too_large = co_await t.ask(head + fifty + fifty + "1\r\nx\r\n0\r\n\r\n");
    EXPECT_TRUE(has_status(too_large, 413)) << too_large;
    co_await t.stop_server();
  }(*this));
}

TEST_F(HttpServerTest, Head_LargerThanLimit_431) {
  HttpLimits limits;
  limits.header_bytes = 2048;
  serve(routes(), limits);
  run([](HttpServerTest& t) -> asio::awaitable<void> {
    const auto fits = co_await t.ask(get("X: " + std::string(1500, 'a') + "\r\n"));
    EXPECT_TRUE(has_status(fits, 200)) << fits;
    const auto too_large = co_await t.ask(get("X: " + std::string(2048, 'a') + "\r\n"));
    EXPECT_TRUE(has_status(too_large, 431)) << too_large;
    co_await t.stop_server();
  }(*this));
}

TEST_F(HttpServerTest, SlowHead_CutWith408) {
  HttpLimits limits;
  limits.header_timeout = 300ms;
  serve(routes(), limits);
  run([](HttpServerTest& t) -> asio::awaitable<void> {
    const auto answer = co_await t.ask("GET /echo HTTP/1.1\r\nHost: h\r\n");
    EXPECT_TRUE(has_status(answer, 408)) << answer;
    co_await t.stop_server();
  }(*this));
}

TEST_F(HttpServerTest, SlowBody_CutWith408) {
  HttpLimits limits;
  limits.body_timeout = 300ms;
  serve(routes(), limits);
  run([](HttpServerTest& t) -> asio::awaitable<void> {
    const auto answer = co_await t.ask("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nab");
    EXPECT_TRUE(has_status(answer, 408)) << answer;
    co_await t.stop_server();
  }(*this));
}

TEST_F(HttpServerTest, IdleConnection_ClosedWithoutAnAnswer) {
  HttpLimits limits;
  limits.idle_timeout = 300ms;
  serve(routes(), limits);
  run([](HttpServerTest& t) -> asio::awaitable<void> {
    const auto answer = co_await t.ask("");
    EXPECT_EQ(answer, "");
    co_await t.stop_server();
  }(*this));
}

TEST_F(HttpServerTest, EmptyLineBehindABody_BeginsNoRequest) {
  HttpLimits limits;
  limits.idle_timeout = 300ms;
  limits.header_timeout = 100ms;
  serve(routes(), limits);
  run([](HttpServerTest& t) -> asio::awaitable<void> {
    for (const bool apart : {false, true}) {
      RawClient client(t.io_.get_executor(), t.server_->port());
      co_await client.connect();
      std::string request = "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nab";
      if (!apart) request += "\r\n";
      co_await client.send(request);
      const auto answer = co_await client.read_until("[ab]");
      EXPECT_TRUE(has_status(answer, 200));
      if (apart) {
        co_await client.send("\r\n");
      }
      const auto rest = co_await client.read_all();
      EXPECT_EQ(rest, "") << "no 408 that the client would take for its next answer";
    }
    co_await t.stop_server();
  }(*this));
}

TEST_F(HttpServerTest, TooManyConnections_503ThenRoomAgain) {
  HttpLimits limits;
  limits.max_connections = 1;
  serve(routes(), limits);
  run([](HttpServerTest& t) -> asio::awaitable<void> {
    RawClient first(t.io_.get_executor(), t.server_->port());
    co_await first.connect();
    co_await first.send("GET /echo HTTP/1.1\r\nHost: h\r\n\r\n");
    const auto served = co_await first.read_until("[]");
    EXPECT_TRUE(has_status(served, 200));
    const auto refused = co_await t.ask("");
    EXPECT_TRUE(has_status(refused, 503)) << refused;
    co_await first.send(get(""));
    const auto last = co_await first.read_all();
    EXPECT_TRUE(has_status(last, 200)) << last;
    const auto again = co_await t.ask(get(""));
    EXPECT_TRUE(has_status(again, 200)) << again;
    co_await t.stop_server();
  }(*this));
}

TEST_F(HttpServerTest, TooManyConnectionsOfOneClient_429) {
  HttpLimits limits;
  limits.max_connections_per_client = 1;
  serve(routes(), limits);
  run([](HttpServerTest& t) -> asio::awaitable<void> {
    RawClient first(t.io_.get_executor(), t.server_->port());
    co_await first.connect();
    co_await first.send("GET /echo HTTP/1.1\r\nHost: h\r\n\r\n");
    co_await first.read_until("[]");
    const auto refused = co_await t.ask("");
    EXPECT_TRUE(has_status(refused, 429)) << refused;
    first.stream().close();
    co_await t.stop_server();
  }(*this));
}

TEST_F(HttpServerTest, PipelinedRequests_AnsweredInOrder) {
  serve(routes());
  run([](HttpServerTest& t) -> asio::awaitable<void> {
    const std::string one = "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\n";
    const auto answers = co_await t.ask(one + "a" + one + "b" + get(""));
    const auto a = answers.find("[a]");
    const auto b = answers.find("[b]");
    EXPECT_NE(a, std::string::npos) << answers;
    EXPECT_LT(a, b);
    EXPECT_NE(answers.find("[]"), std::string::npos);
    co_await t.stop_server();
  }(*this));
}

TEST_F(HttpServerTest, ExpectContinue_InvitedThenServed) {
  serve(routes());
  run([](HttpServerTest& t) -> asio::awaitable<void> {
    RawClient client(t.io_.get_executor(), t.server_->port());
    co_await client.connect();
    co_await client.send(
        "POST /echo HTTP/1.1\r\nHost: h\r\nConnection: close\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    const auto invitation = co_await client.read_until("\r\n\r\n");
    EXPECT_EQ(invitation, "HTTP/1.1 100 Continue\r\n\r\n");
    co_await client.send("hi");
    const auto answer = co_await client.read_all();
    EXPECT_TRUE(has_status(answer, 200)) << answer;
    co_await t.stop_server();
  }(*this));
}

TEST_F(HttpServerTest, Head_LengthOfGetAndNoBody) {
  serve(routes());
  run([](HttpServerTest& t) -> asio::awaitable<void> {
    const auto answer = co_await t.ask("HEAD /echo HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    EXPECT_NE(answer.find("Content-Length: 2\r\n"), std::string::npos) << answer;
    EXPECT_TRUE(answer.ends_with("\r\n\r\n")) << answer;
    co_await t.stop_server();
  }(*this));
}

TEST_F(HttpServerTest, UnknownPathAndMethod_404And405WithAllow) {
  serve(routes());
  run([](HttpServerTest& t) -> asio::awaitable<void> {
    const auto unknown = co_await t.ask(get("", "/nothing"));
    EXPECT_TRUE(has_status(unknown, 404)) << unknown;
    const auto wrong = co_await t.ask("DELETE /echo HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    EXPECT_TRUE(has_status(wrong, 405)) << wrong;
    EXPECT_NE(wrong.find("Allow: POST, GET, HEAD\r\n"), std::string::npos) << wrong;
    co_await t.stop_server();
  }(*this));
}

TEST_F(HttpServerTest, HandlerThatThrows_500AndReported) {
  serve(routes());
  run([](HttpServerTest& t) -> asio::awaitable<void> {
    const auto answer = co_await t.ask(get("", "/fail"));
    EXPECT_TRUE(has_status(answer, 500)) << answer;
    EXPECT_EQ(t.bugs_, std::vector<std::string>{"boom"});
    co_await t.stop_server();
  }(*this));
}

TEST_F(HttpServerTest, AmbiguousFraming_400AndClosed) {
  serve(routes());
  run([](HttpServerTest& t) -> asio::awaitable<void> {
    const auto answer = co_await t.ask(
        "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /echo "
        "HTTP/1.1\r\n\r\n");
    EXPECT_TRUE(has_status(answer, 400)) << answer;
    EXPECT_EQ(answer.find("200"), std::string::npos);
    co_await t.stop_server();
  }(*this));
}

TEST_F(HttpServerTest, DrippedFields_LimitedLikeAWholeHead) {
  HttpLimits limits;
  limits.header_bytes = 2048;
  serve(routes(), limits);
  run([](HttpServerTest& t) -> asio::awaitable<void> {
    RawClient client(t.io_.get_executor(), t.server_->port());
    co_await client.connect();
    // Each piece ends inside the next field's name, so that the parser's own buffer never fills.
    co_await client.send("GET /echo HTTP/1.1\r\nHost: h\r\nX");
    for (int i = 0; i < 40 && client.stream().socket().available() == 0; ++i) {
      error_code ignored = co_await client.stream().write("-1: " + std::string(60, 'y') + "\r\nX");
      static_cast<void>(ignored);
      co_await asio::post(t.io_, kTok);
    }
    const auto answer = co_await client.read_all();
    EXPECT_TRUE(has_status(answer, 431)) << answer;
    co_await t.stop_server();
  }(*this));
}

TEST_F(HttpServerTest, EndlessChunkSizeLine_400) {
  serve(routes());
  run([](HttpServerTest& t) -> asio::awaitable<void> {
    const auto answer = co_await t.ask("POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2;a=" +
                                       std::string(40'000, 'y'));
    EXPECT_TRUE(has_status(answer, 400)) << answer;
    EXPECT_NE(answer.find("A chunk's size line"), std::string::npos);
    co_await t.stop_server();
  }(*this));
}

TEST_F(HttpServerTest, ChunkedBodyByteByByte_SameAsWhole) {
  serve(routes());
  run([](HttpServerTest& t) -> asio::awaitable<void> {
    RawClient client(t.io_.get_executor(), t.server_->port());
    co_await client.connect();
    const std::string request =
        "POST /echo HTTP/1.1\r\nHost: h\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n";
    for (const char byte : request) {
      co_await client.send(std::string(1, byte));
      // Lets the server take this byte before the next one is sent.
      co_await asio::post(t.io_, kTok);
      co_await asio::post(t.io_, kTok);
    }
    const auto answer = co_await client.read_all();
    EXPECT_TRUE(has_status(answer, 200)) << answer;
    EXPECT_TRUE(answer.ends_with("[hi]")) << answer;
    co_await t.stop_server();
  }(*this));
}

TEST_F(HttpServerTest, LineFeedInAChunkExtension_400) {
  serve(routes());
  run([](HttpServerTest& t) -> asio::awaitable<void> {
    const auto answer = co_await t.ask(
        "POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2;a=\"\n\"\r\nab\r\n0\r\n\r\n");
    EXPECT_TRUE(has_status(answer, 400)) << answer;
    co_await t.stop_server();
  }(*this));
}

/// A long poll that the test can see: ends when the client goes or when told to.
struct LongPoll {
  bool began = false, abandoned = false;
  Timer release;
  Timer seen;
  explicit LongPoll(asio::any_io_executor executor)
      : release(executor, Timer::time_point::max()), seen(executor, Timer::time_point::max()) {}

  asio::awaitable<HttpResponse> answer(const HttpRequest& request) {
    began = true;
    seen.cancel();
    request.wait->on_abandoned([this] {
      abandoned = true;
      release.cancel();
    });
    co_await release.async_wait(kTok);
    HttpResponse response;
    response.body = "[end]";
    co_return response;
  }

  /// Returns when its request is being answered.
  asio::awaitable<void> begin(RawClient& client) {
    co_await client.connect();
    co_await client.send("GET /poll HTTP/1.1\r\nHost: h\r\n\r\n");
    co_await seen.async_wait(kTok);
  }

  /// This at /poll.
  HttpRoutes routes() {
    HttpRoutes table;
    table.add("GET", "/poll",
              HttpRoute{[this](const HttpRequest& request) { return answer(request); }, Access::open, 0, true});
    return table;
  }
};

TEST_F(HttpServerTest, LongPoll_ClientHangsUp_HandlerIsTold) {
  LongPoll poll(io_.get_executor());
  serve(poll.routes());
  run([](HttpServerTest& t, LongPoll& p) -> asio::awaitable<void> {
    RawClient client(t.io_.get_executor(), t.server_->port());
    co_await p.begin(client);
    EXPECT_TRUE(p.began);
    client.stream().close();
    co_await p.release.async_wait(kTok);
    EXPECT_TRUE(p.abandoned);
    co_await t.stop_server();
    EXPECT_EQ(t.server_->connections(), 0U);
  }(*this, poll));
}

TEST_F(HttpServerTest, LongPoll_ClientHangsUpBehindItsNextRequest_HandlerIsTold) {
  for (const bool by_reset : {false, true}) {
    LongPoll poll(io_.get_executor());
    serve(poll.routes());
    run([](HttpServerTest& t, LongPoll& p, bool reset) -> asio::awaitable<void> {
      RawClient client(t.io_.get_executor(), t.server_->port());
      co_await p.begin(client);
      co_await client.send("GET /nothing HTTP/1.1\r\nHost: h\r\n\r\n");
      Timer a_moment(t.io_.get_executor(), std::chrono::milliseconds(50));
      co_await a_moment.async_wait(kTok);
      EXPECT_FALSE(p.abandoned) << "more input is no hang-up";
      if (reset) {
        client.stream().abort();
      } else {
        client.stream().close();
      }
      co_await p.release.async_wait(kTok);
      EXPECT_TRUE(p.abandoned);
      co_await t.stop_server();
    }(*this, poll, by_reset));
  }
}

TEST_F(HttpServerTest, LongPoll_NextRequestComesMeanwhile_IsServedBehindIt) {
  LongPoll poll(io_.get_executor());
  serve(poll.routes());
  run([](HttpServerTest& t, LongPoll& p) -> asio::awaitable<void> {
    RawClient client(t.io_.get_executor(), t.server_->port());
    co_await p.begin(client);
    co_await client.send("GET /nothing HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    Timer a_moment(t.io_.get_executor(), std::chrono::milliseconds(1200));  // until it has been looked at again
    co_await a_moment.async_wait(kTok);
    EXPECT_FALSE(p.abandoned);
    p.release.cancel();
    const auto answers = co_await client.read_all();
    EXPECT_TRUE(has_status(answers, 200)) << answers;
    EXPECT_NE(answers.find("[end]HTTP/1.1 404 "), std::string::npos) << answers;
    co_await t.stop_server();
  }(*this, poll));
}

TEST_F(HttpServerTest, Drain_LongPollIsAnsweredAndNewConnectionsAreRefused) {
  LongPoll poll(io_.get_executor());
  serve(poll.routes());
  run([](HttpServerTest& t, LongPoll& p) -> asio::awaitable<void> {
    RawClient client(t.io_.get_executor(), t.server_->port());
    const auto port = t.server_->port();
    co_await client.connect();
    co_await client.send("GET /poll HTTP/1.1\r\nHost: h\r\n\r\n");
    co_await p.seen.async_wait(kTok);
    co_await t.stop_server();
    const auto answer = co_await client.read_all();
    EXPECT_TRUE(has_status(answer, 200)) << answer;
    EXPECT_NE(answer.find("Connection: close"), std::string::npos);
    tcp::socket late(t.io_.get_executor());
    auto [ec] = co_await late.async_connect({asio::ip::address_v4::loopback(), port}, kTok);
    EXPECT_EQ(ec, asio::error::connection_refused);
  }(*this, poll));
}

}  // namespace
}  // namespace svc
