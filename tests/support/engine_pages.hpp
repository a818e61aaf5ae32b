// An engine's HTTP side for component tests: pages with fixed answers on a loopback port, and what was asked.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tests/support/http_fixture.hpp"

namespace svc::test {

class EnginePages {
 public:
  struct Page {
    int status = 200;
    std::string body;
    bool silent = false;  ///< never answers
  };

  explicit EnginePages(asio::any_io_executor executor) : executor_(executor) {}

  /// To be called before start().
  void page(const std::string& method, const std::string& path, Page page) {
    routes_.add(method, path,
                HttpRoute{[this, page, key = method + " " + path](const HttpRequest& request) {
                            return answer(key, page, request);
                          },
                          Access::open, 64 * 1024, false});
  }
  void start(const std::string& address = "127.0.0.1") {
    HttpServerHooks hooks;
    hooks.on_bug = [](const std::string& what) { ADD_FAILURE() << what; };
    hooks.on_trouble = [](const std::string&) {};
    hooks.random = [] { return std::uint64_t{1}; };
    server_ = std::make_unique<HttpServer>(executor_, "engine", std::move(routes_), std::move(hooks));
    ASSERT_TRUE(server_->bind({address, 0}).has_value());
    server_->start();
  }
  std::uint16_t port() const { return server_->port(); }
  /// Cuts what is open; nothing listens from then on.
  void stop() { server_->stop(); }

  std::vector<std::string> asked;   ///< "GET /health"
  std::vector<std::string> bodies;  ///< of the same requests
  std::vector<std::string> authorizations;

 private:
  asio::awaitable<HttpResponse> answer(std::string key, Page page, const HttpRequest& request) {
    asked.push_back(std::move(key));
    bodies.emplace_back(request.body);
    authorizations.emplace_back(request.field("Authorization"));
    if (page.silent) {
      Timer never(executor_, Timer::time_point::max());
      co_await never.async_wait(kTok);
    }
    HttpResponse response;
    response.status = page.status;
    response.body = page.body;
    co_return response;
  }

  asio::any_io_executor executor_;
  HttpRoutes routes_;
  std::unique_ptr<HttpServer> server_;
};

}  // namespace svc::test
