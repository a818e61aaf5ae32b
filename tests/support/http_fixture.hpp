// An HttpServer on a loopback port and a raw client, both on the io_context of the test.
#pragma once

#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <memory>
#include <string>
#include <vector>

#include "common/io/deadline_guard.hpp"
#include "common/io/http_server.hpp"
#include "common/io/stream.hpp"

namespace svc::test {

/// A client connection that speaks bytes.
class RawClient {
 public:
  RawClient(asio::any_io_executor executor, std::uint16_t port)
      : stream_(tcp::socket(executor)), to_(asio::ip::address_v4::loopback(), port) {}

  asio::awaitable<void> connect() {
    auto [ec] = co_await stream_.socket().async_connect(to_, kTok);
    EXPECT_FALSE(ec) << ec.message();
    stream_.prepare();
  }
  asio::awaitable<void> send(std::string text) {
    const auto ec = co_await stream_.write(text);
    EXPECT_FALSE(ec) << ec.message();
  }
  /// Everything until the server closes, or `limit` has passed ("" appended with "<open>" then).
  asio::awaitable<std::string> read_all(Duration limit = std::chrono::seconds(10)) {
    std::string text;
    const DeadlineGuard guard(stream_.socket().get_executor(), stream_, Deadline::after(steady_now(), limit));
    std::array<char, 4096> buffer;
    for (;;) {
      const auto [ec, data] = co_await stream_.read_some(buffer);
      if (ec) {
        co_return guard.expired() ? text + "<open>" : text;
      }
      text.append(data);
    }
  }
  /// Reads until `mark` has been seen.
  asio::awaitable<std::string> read_until(std::string mark) {
    std::string text;
    std::array<char, 4096> buffer;
    while (text.find(mark) == std::string::npos) {
      const auto [ec, data] = co_await stream_.read_some(buffer);
      if (ec) {
        break;
      }
      text.append(data);
    }
    co_return text;
  }
  Stream& stream() { return stream_; }

 private:
  Stream stream_;
  tcp::endpoint to_;
};

class HttpFixture : public ::testing::Test {
 public:
  /// Runs a coroutine to its end on the io_context; fails after 30 s.
  void run(asio::awaitable<void> body) {
    bool done = false;
    asio::co_spawn(io_, std::move(body), [&done, this](const std::exception_ptr& error) {
      done = true;
      if (error) {
        std::rethrow_exception(error);
      }
      io_.stop();
    });
    io_.restart();
    io_.run_for(std::chrono::seconds(30));
    ASSERT_TRUE(done) << "the test did not end in time";
  }

  void serve(HttpRoutes routes, const HttpLimits& limits = {}, TlsContext tls = nullptr) {
    HttpServerHooks hooks;
    hooks.on_bug = [this](const std::string& what) { bugs_.push_back(what); };
    hooks.on_trouble = [](const std::string&) {};
    hooks.random = [] { return std::uint64_t{1}; };
    hooks.on_exchange = [this](const HttpExchange& exchange) { statuses_.push_back(exchange.status); };
    server_ = std::make_unique<HttpServer>(io_.get_executor(), "test", std::move(routes), std::move(hooks));
    server_->set_limits(limits);
    server_->set_tls(std::move(tls));
    const auto bound = server_->bind({"127.0.0.1", 0});
    ASSERT_TRUE(bound.has_value());
    server_->start();
  }

  asio::awaitable<void> stop_server() {
    co_await server_->drain(Deadline::after(steady_now(), std::chrono::seconds(2)));
  }

  /// One request on a connection of its own; the server closes after it.
  asio::awaitable<std::string> ask(std::string text) {
    RawClient client(io_.get_executor(), server_->port());
    co_await client.connect();
    co_await client.send(std::move(text));
    co_return co_await client.read_all();
  }

  asio::io_context io_{1};
  std::unique_ptr<HttpServer> server_;
  std::vector<std::string> bugs_;
  std::vector<int> statuses_;
};

}  // namespace svc::test
