// A server that is stopped at once, and a client whose name has an address that answers nothing.
#include <boost/asio/post.hpp>

#include "common/io/http_client.hpp"
#include "tests/support/http_fixture.hpp"

namespace svc {
namespace {

using namespace std::chrono_literals;
using test::RawClient;

class HttpStop : public test::HttpFixture {};

/// Waits for longer than any test, and says when it has begun. How it waits is up to `broken`.
struct Sleeper {
  Timer begun;
  bool broken = false;

  explicit Sleeper(asio::any_io_executor executor) : begun(executor, Timer::time_point::max()) {}

  asio::awaitable<HttpResponse> answer(const HttpRequest&) {
    begun.cancel();
    Timer never(begun.get_executor(), Timer::time_point::max());
    co_await never.async_wait(kTok);
    if (broken) {
      throw std::runtime_error("boom");
    }
    co_await asio::post(never.get_executor(), kTok);  // a cancelled coroutine throws here
    co_return HttpResponse{};
  }
};

TEST_F(HttpStop, HandlerThatIsCancelled_IsNoBug) {
  for (const bool broken : {false, true}) {
    bugs_.clear();
    Sleeper sleeper(io_.get_executor());
    sleeper.broken = broken;
    HttpRoutes table;
    table.add(
        "GET", "/",
        HttpRoute{[&sleeper](const HttpRequest& request) { return sleeper.answer(request); }, Access::open, 0, false});
    serve(std::move(table));
    run([](HttpStop& t, Sleeper& s) -> asio::awaitable<void> {
      RawClient client(t.io_.get_executor(), t.server_->port());
      co_await client.connect();
      co_await client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
      co_await s.begun.async_wait(kTok);
      t.server_->stop();
      const auto answer = co_await client.read_all();
      EXPECT_EQ(answer, "");
    }(*this, sleeper));
    io_.restart();
    io_.poll();
    EXPECT_EQ(server_->connections(), 0U);
    EXPECT_EQ(bugs_.empty(), !broken) << "what is really broken is still told";
  }
}

asio::awaitable<HttpResponse> nothing(const HttpRequest&) { co_return HttpResponse{}; }

/// Listens on 127.0.0.2 and takes nothing more: the kernel drops further attempts to connect, as a black hole does.
struct BlackHole {
  tcp::acceptor acceptor;
  std::vector<tcp::socket> taken;

  BlackHole(asio::any_io_executor executor, std::uint16_t port) : acceptor(executor) {
    acceptor.open(tcp::v4());
    acceptor.bind({asio::ip::make_address("127.0.0.2"), port});
    acceptor.listen(0);
    for (int i = 0; i < 4; ++i) {
      taken.emplace_back(executor).async_connect(acceptor.local_endpoint(), [](const error_code&) {});
    }
  }
};

TEST_F(HttpStop, Client_FirstAddressIsABlackHole_TheNextIsTriedInTime) {
  HttpRoutes table;
  table.add("GET", "/", HttpRoute{nothing, Access::open, 0, false});
  serve(std::move(table));
  BlackHole hole(io_.get_executor(), server_->port());
  Resolver resolver(io_.get_executor(), {}, [this](const std::string&, auto done) {
    asio::post(io_, [done] { done({}, {asio::ip::make_address("127.0.0.2"), asio::ip::make_address("127.0.0.1")}); });
  });
  HttpClient client(io_.get_executor(), resolver, "test");
  run([](HttpStop& t, HttpClient& c) -> asio::awaitable<void> {
    HttpCall call;
    call.url = *parse_http_url("http://two-addresses:" + std::to_string(t.server_->port()) + "/");
    const TimePoint begun = steady_now();
    const auto reply = co_await c.call(call, Deadline::after(begun, 3s));
    EXPECT_TRUE(reply.has_value()) << reply.error().to_string();
    EXPECT_GE(steady_now() - begun, 1400ms) << "the black hole was none";
    call.url = *parse_http_url("http://two-addresses:" + std::to_string(t.server_->port()) + "/");
    const auto hasty = co_await c.call(call, Deadline::after(steady_now(), 200ms));
    EXPECT_FALSE(hasty.has_value());
    if (!hasty) {
      EXPECT_EQ(hasty.error().code, Errc::timed_out) << "less than one address's share";
    }
    co_await t.stop_server();
  }(*this, client));
}

}  // namespace
}  // namespace svc
