// How connections end under TLS: with close_notify, or cut by a bare FIN, which anybody on the way could have sent.
#include <boost/asio/post.hpp>

#include "common/io/http_client.hpp"
#include "tests/support/http_fixture.hpp"
#include "tests/support/test_certificate.hpp"

namespace svc {
namespace {

using namespace std::chrono_literals;

class TlsEnd : public test::HttpFixture {
 public:
  TlsEnd()
      : files_(test::make_certificate(folder_)),
        server_tls_(*make_server_tls({files_.cert, files_.key, ""})),
        client_tls_(*make_client_tls({"", "", files_.ca})),
        acceptor_(io_.get_executor(), {asio::ip::address_v4::loopback(), 0}),
        resolver_(io_.get_executor()),
        client_(io_.get_executor(), resolver_, "test"),
        tasks_(io_.get_executor(), [](const char*, const std::string& what) { ADD_FAILURE() << what; }) {
    client_.set_tls(client_tls_);
  }

  /// Answers one request with `answer` and ends the connection, with or without close_notify.
  asio::awaitable<void> answer_once(std::string answer, bool notify) {
    auto [ec, socket] = co_await acceptor_.async_accept(kTok);
    EXPECT_FALSE(ec);
    Stream stream(std::move(socket));
    stream.prepare();
    ec = co_await stream.accept_tls(server_tls_);
    EXPECT_FALSE(ec) << ec.message();
    std::array<char, 4096> buffer;
    co_await stream.read_some(buffer);
    co_await stream.write(answer);
    if (notify) {
      stream.close();
      co_return;
    }
    stream.socket().shutdown(tcp::socket::shutdown_send, ec);
    while (!ec) {  // until the client has gone, so that no reset overtakes the answer
      const auto read = co_await stream.read_some(buffer);
      ec = read.error;
    }
  }

  Result<HttpReply> call(std::string answer, bool notify) {
    tasks_.spawn("peer", answer_once(std::move(answer), notify));
    Result<HttpReply> reply = internal_error("not called");
    run([](TlsEnd& t, Result<HttpReply>& out) -> asio::awaitable<void> {
      HttpCall call;
      call.url = *parse_http_url("https://localhost:" + std::to_string(t.acceptor_.local_endpoint().port()) + "/");
      out = co_await t.client_.call(std::move(call), Deadline::after(steady_now(), 10s));
      co_await t.tasks_.join();
    }(*this, reply));
    return reply;
  }

  /// A client connection to the fixture's server, its handshake done.
  asio::awaitable<std::unique_ptr<Stream>> connect() {
    auto stream = std::make_unique<Stream>(tcp::socket(io_.get_executor()));
    const tcp::endpoint to(asio::ip::address_v4::loopback(), server_->port());
    auto [ec] = co_await stream->socket().async_connect(to, kTok);
    EXPECT_FALSE(ec);
    stream->prepare();
    ec = co_await stream->connect_tls(client_tls_, "localhost");
    EXPECT_FALSE(ec) << ec.message();
    co_return stream;
  }

  static HttpRoutes routes() {
    HttpRoutes table;
    table.add(
        "GET", "/",
        HttpRoute{[](const HttpRequest&) -> asio::awaitable<HttpResponse> { return hello(); }, Access::open, 0, false});
    return table;
  }
  static asio::awaitable<HttpResponse> hello() {
    HttpResponse response;
    response.body = "[hello]";
    co_return response;
  }

  test::TempFolder folder_;
  TlsFiles files_;
  TlsContext server_tls_, client_tls_;
  tcp::acceptor acceptor_;
  Resolver resolver_;
  HttpClient client_;
  TaskGroup tasks_;
};

TEST_F(TlsEnd, Client_CompleteByItsFraming_FineEitherWay) {
  for (const bool notify : {true, false}) {
    for (const std::string answer : {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
                                     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"}) {
      const auto reply = call(answer, notify);
      ASSERT_TRUE(reply.has_value()) << reply.error().to_string();
      EXPECT_EQ(reply->body, "hi");
    }
  }
}

TEST_F(TlsEnd, Client_CutBody_ConnectionLostEitherWay) {
  for (const bool notify : {true, false}) {
    for (const std::string answer : {"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhi",
                                     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n"}) {
      const auto reply = call(answer, notify);
      ASSERT_FALSE(reply.has_value());
      EXPECT_EQ(reply.error().code, Errc::connection_lost);
    }
  }
}

TEST_F(TlsEnd, Client_BodyUntilTheConnectionCloses_WholeOnlyWithCloseNotify) {
  const auto whole = call("HTTP/1.0 200 OK\r\n\r\nall of it", true);
  ASSERT_TRUE(whole.has_value()) << whole.error().to_string();
  EXPECT_EQ(whole->body, "all of it");
  const auto cut = call("HTTP/1.0 200 OK\r\n\r\nall of", false);
  ASSERT_FALSE(cut.has_value());
  EXPECT_EQ(cut.error().code, Errc::connection_lost);
}

TEST_F(TlsEnd, Server_ClientLeavesBetweenRequests_OrderlyEitherWay) {
  serve(routes(), {}, server_tls_);
  run([](TlsEnd& t) -> asio::awaitable<void> {
    for (const bool notify : {true, false}) {
      const auto stream = co_await t.connect();
      co_await stream->write("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
      std::array<char, 4096> buffer;
      const auto read = co_await stream->read_some(buffer);
      EXPECT_TRUE(read.data.starts_with("HTTP/1.1 200 ")) << read.data;
      if (notify) {
        stream->close();
      } else {
        error_code ec;
        stream->socket().shutdown(tcp::socket::shutdown_send, ec);
        const auto end = co_await stream->read_some(buffer);
        EXPECT_EQ(end.error, asio::error::eof) << end.error.message();
      }
    }
    co_await t.stop_server();
    EXPECT_EQ(t.bugs_, std::vector<std::string>{});
    EXPECT_EQ(t.statuses_, (std::vector<int>{200, 200}));
  }(*this));
}

TEST_F(TlsEnd, Server_RefusesABodyThatIsStillComing_TheAnswerArrives) {
  serve(routes(), {}, server_tls_);
  run([](TlsEnd& t) -> asio::awaitable<void> {
    const auto stream = co_await t.connect();
    co_await stream->write("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 500000\r\n\r\n" + std::string(100'000, 'x'));
    for (int i = 0; i < 20; ++i) {
      co_await asio::post(t.io_, kTok);
    }
    co_await stream->write(std::string(400'000, 'x'));
    std::array<char, 4096> buffer;
    const auto read = co_await stream->read_some(buffer);
    EXPECT_TRUE(read.data.starts_with("HTTP/1.1 405 ")) << read.error.message() << read.data;
    stream->close();
    co_await t.stop_server();
  }(*this));
}

TEST_F(TlsEnd, Server_ClosesWithCloseNotify_AlsoAfterARefusalAndAtADrain) {
  serve(routes(), {}, server_tls_);
  run([](TlsEnd& t) -> asio::awaitable<void> {
    for (const std::string request :
         {"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", "nonsense\r\n\r\n", ""}) {
      const auto stream = co_await t.connect();
      co_await stream->write(request);
      if (request.empty()) {
        co_await t.stop_server();
      }
      std::array<char, 4096> buffer;
      error_code ec;
      while (!ec) {
        const auto read = co_await stream->read_some(buffer);
        ec = read.error;
      }
      EXPECT_EQ(ec, asio::error::eof) << request << ": " << ec.message();
    }
  }(*this));
}

}  // namespace
}  // namespace svc
