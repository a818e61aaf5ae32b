// Streamed answers of the HTTP server: pieces as they come, and every way in which a stream can end.
#include <boost/asio/post.hpp>

#include "tests/support/http_fixture.hpp"
#include "tests/support/test_certificate.hpp"

namespace svc {
namespace {

using namespace std::chrono_literals;
using test::RawClient;

/// Writes a piece each time that the test says so.
struct Producer {
  explicit Producer(asio::any_io_executor executor)
      : wake(executor, Timer::time_point::max()), ended(executor, Timer::time_point::max()) {}

  asio::awaitable<HttpResponse> answer(const HttpRequest&) {
    HttpResponse response;
    response.content_type = "text/plain";
    response.stream = [this](HttpBodyWriter& writer) { return produce(writer); };
    co_return response;
  }

  asio::awaitable<void> produce(HttpBodyWriter& writer) {
    ++begun;
    writer.over().on_abandoned([this] {
      told = true;
      wake.cancel();
    });
    bool more = !writer.over().abandoned();
    while (more && !finish) {
      if (pieces.empty()) {
        wake.expires_at(Timer::time_point::max());
        co_await wake.async_wait(kTok);
      }
      if (broken) {
        throw std::runtime_error("boom");
      }
      while (more && !pieces.empty()) {
        const std::string piece = std::move(pieces.front());
        pieces.erase(pieces.begin());
        more = co_await writer.write(piece);
      }
      more = more && !told;
    }
    ended.cancel();
  }

  void give(std::string piece) {
    pieces.push_back(std::move(piece));
    wake.cancel();
  }
  void end() {
    finish = true;
    wake.cancel();
  }

  Timer wake, ended;
  std::vector<std::string> pieces;
  int begun = 0;
  bool finish = false, broken = false, told = false;
};

class HttpStream : public test::HttpFixture {
 public:
  HttpStream() : producer_(io_.get_executor()) {}

  void serve_stream(const HttpLimits& limits = {}, TlsContext tls = nullptr) {
    HttpRoutes table;
    table.add(
        "GET", "/stream",
        HttpRoute{[this](const HttpRequest& request) { return producer_.answer(request); }, Access::open, 0, false});
    serve(std::move(table), limits, std::move(tls));
  }

  Producer producer_;
};

constexpr const char* kAsk = "GET /stream HTTP/1.1\r\nHost: h\r\n\r\n";

TEST_F(HttpStream, Pieces_ArriveAtOnceAsChunksAndTheConnectionGoesOn) {
  serve_stream();
  run([](HttpStream& t) -> asio::awaitable<void> {
    RawClient client(t.io_.get_executor(), t.server_->port());
    co_await client.connect();
    co_await client.send(kAsk);
    const auto head = co_await client.read_until("\r\n\r\n");
    EXPECT_TRUE(head.starts_with("HTTP/1.1 200 OK\r\n")) << head;
    EXPECT_NE(head.find("Content-Type: text/plain\r\n"), std::string::npos);
    EXPECT_NE(head.find("Transfer-Encoding: chunked\r\n"), std::string::npos);
    EXPECT_EQ(head.find("Content-Length"), std::string::npos);
    t.producer_.give("first");
    const auto first = co_await client.read_until("first\r\n");
    EXPECT_EQ(first, "5\r\nfirst\r\n");
    t.producer_.give("");  // nothing, and above all not the end
    t.producer_.give(std::string(300, 'x'));
    const auto second = co_await client.read_until("x\r\n");
    EXPECT_EQ(second, "12c\r\n" + std::string(300, 'x') + "\r\n");
    t.producer_.end();
    const auto last = co_await client.read_until("0\r\n\r\n");
    EXPECT_EQ(last, "0\r\n\r\n");
    EXPECT_EQ(t.statuses_, std::vector<int>{200}) << "told once, at the end";
    co_await client.send("GET /nothing HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    const auto next = co_await client.read_all();
    EXPECT_TRUE(next.starts_with("HTTP/1.1 404 ")) << next;
    EXPECT_TRUE(t.bugs_.empty());
    co_await t.stop_server();
  }(*this));
}

TEST_F(HttpStream, OldClient_BodyEndsWithTheConnection) {
  serve_stream();
  run([](HttpStream& t) -> asio::awaitable<void> {
    t.producer_.give("all of it");
    RawClient client(t.io_.get_executor(), t.server_->port());
    co_await client.connect();
    co_await client.send("GET /stream HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    const auto begin = co_await client.read_until("all of it");
    EXPECT_EQ(begin.find("Transfer-Encoding"), std::string::npos) << begin;
    EXPECT_NE(begin.find("Connection: close\r\n"), std::string::npos) << begin;
    EXPECT_TRUE(begin.ends_with("\r\n\r\nall of it")) << begin;
    t.producer_.end();
    const auto rest = co_await client.read_all();
    EXPECT_EQ(rest, "");
    co_await t.stop_server();
  }(*this));
}

TEST_F(HttpStream, Head_NoBodyAndTheProducerIsNotRun) {
  serve_stream();
  run([](HttpStream& t) -> asio::awaitable<void> {
    const auto answer = co_await t.ask("HEAD /stream HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    EXPECT_NE(answer.find("Transfer-Encoding: chunked\r\n"), std::string::npos) << answer;
    EXPECT_TRUE(answer.ends_with("\r\n\r\n")) << answer;
    EXPECT_EQ(t.producer_.begun, 0);
    co_await t.stop_server();
  }(*this));
}

TEST_F(HttpStream, SilentStream_ClientHangsUp_ProducerIsTold) {
  serve_stream();
  run([](HttpStream& t) -> asio::awaitable<void> {
    RawClient client(t.io_.get_executor(), t.server_->port());
    co_await client.connect();
    co_await client.send(kAsk);
    co_await client.read_until("\r\n\r\n");
    client.stream().close();
    co_await t.producer_.ended.async_wait(kTok);
    EXPECT_TRUE(t.producer_.told);
    co_await t.stop_server();
    EXPECT_EQ(t.server_->connections(), 0U);
  }(*this));
}

TEST_F(HttpStream, SilentStreamUnderTls_ClientHangsUp_ProducerIsTold) {
  const test::TempFolder folder;
  const auto files = test::make_certificate(folder);
  serve_stream({}, *make_server_tls({files.cert, files.key, ""}));
  run([](HttpStream& t, TlsContext tls) -> asio::awaitable<void> {
    RawClient client(t.io_.get_executor(), t.server_->port());
    co_await client.connect();
    const auto ec = co_await client.stream().connect_tls(tls, "localhost");
    EXPECT_FALSE(ec) << ec.message();
    co_await client.send(kAsk);
    co_await client.read_until("\r\n\r\n");
    t.producer_.give("first");
    co_await client.read_until("first\r\n");
    client.stream().close();
    co_await t.producer_.ended.async_wait(kTok);
    EXPECT_TRUE(t.producer_.told);
    co_await t.stop_server();
  }(*this, *make_client_tls({"", "", files.ca})));
}

TEST_F(HttpStream, ClientThatTakesNothing_IsCutAfterTheWriteTimeout) {
  HttpLimits limits;
  limits.write_timeout = 300ms;
  serve_stream(limits);
  run([](HttpStream& t) -> asio::awaitable<void> {
    RawClient client(t.io_.get_executor(), t.server_->port());
    co_await client.connect();
    co_await client.send(kAsk);
    co_await client.read_until("\r\n\r\n");
    t.producer_.give(std::string(32U << 20U, 'x'));  // more than the sockets' buffers take
    co_await t.producer_.ended.async_wait(kTok);
    EXPECT_TRUE(t.producer_.told);
    co_await t.stop_server();
    EXPECT_EQ(t.server_->connections(), 0U);
  }(*this));
}

TEST_F(HttpStream, ProducerThatThrows_CutWithoutALastChunk) {
  serve_stream();
  run([](HttpStream& t) -> asio::awaitable<void> {
    RawClient client(t.io_.get_executor(), t.server_->port());
    co_await client.connect();
    co_await client.send(kAsk);
    co_await client.read_until("\r\n\r\n");
    t.producer_.broken = true;
    t.producer_.end();
    const auto rest = co_await client.read_all();
    EXPECT_EQ(rest, "");
    EXPECT_EQ(t.bugs_, std::vector<std::string>{"boom"});
    co_await t.stop_server();
  }(*this));
}

TEST_F(HttpStream, Drain_StreamIsToldAndEndsInOrder) {
  serve_stream();
  run([](HttpStream& t) -> asio::awaitable<void> {
    RawClient client(t.io_.get_executor(), t.server_->port());
    co_await client.connect();
    co_await client.send(kAsk);
    co_await client.read_until("\r\n\r\n");
    const TimePoint begun = steady_now();
    co_await t.server_->drain(Deadline::after(begun, 20s));
    EXPECT_LT(steady_now() - begun, 10s);
    EXPECT_TRUE(t.producer_.told);
    const auto rest = co_await client.read_all();
    EXPECT_EQ(rest, "0\r\n\r\n");
  }(*this));
}

TEST_F(HttpStream, StopAtOnce_StreamIsCancelledAndThatIsNoBug) {
  serve_stream();
  run([](HttpStream& t) -> asio::awaitable<void> {
    RawClient client(t.io_.get_executor(), t.server_->port());
    co_await client.connect();
    co_await client.send(kAsk);
    co_await client.read_until("\r\n\r\n");
    t.server_->stop();
    const auto rest = co_await client.read_all();
    EXPECT_EQ(rest, "");
  }(*this));
  io_.restart();
  io_.poll();
  EXPECT_EQ(server_->connections(), 0U);
  EXPECT_TRUE(bugs_.empty());
}

}  // namespace
}  // namespace svc
