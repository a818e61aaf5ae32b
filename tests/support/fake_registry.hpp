// A registry that says what a test wants, on a loopback port of the test's io_context: one request per connection.
#pragma once

#include <array>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "common/io/stream.hpp"
#include "common/io/task_group.hpp"

namespace svc::test {

class FakeRegistry {
 public:
  /// The whole HTTP answer to a request head; nullopt: never answered. Called once per request.
  using Script = std::function<std::optional<std::string>(const std::string& target)>;

  FakeRegistry(asio::any_io_executor executor, TaskGroup& tasks)
      : acceptor_(executor, {asio::ip::address_v4::loopback(), 0}), tasks_(tasks) {}

  void start(Script script) {
    script_ = std::move(script);
    tasks_.spawn("fake registry", accept());
  }
  [[nodiscard]] std::string url() const {
    return "http://127.0.0.1:" + std::to_string(acceptor_.local_endpoint().port());
  }
  /// The request heads so far, and what they asked for.
  std::vector<std::string> heads, targets;

  static std::string ok(const std::string& body, const std::string& fields = "") {
    return "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" + fields + "\r\n" + body;
  }

 private:
  asio::awaitable<void> accept() {
    for (;;) {
      auto [error, socket] = co_await acceptor_.async_accept(kTok);
      if (error) co_return;
      tasks_.spawn("fake registry's connection", serve(std::move(socket)));
    }
  }
  asio::awaitable<void> serve(tcp::socket socket) {
    Stream stream(std::move(socket));
    stream.prepare();
    std::array<char, 4096> buffer{};
    std::string head;
    while (head.find("\r\n\r\n") == std::string::npos) {
      const auto [error, data] = co_await stream.read_some(buffer);
      if (error) co_return;
      head.append(data);
    }
    const std::size_t begin = head.find(' ') + 1;
    targets.push_back(head.substr(begin, head.find(' ', begin) - begin));
    heads.push_back(head);
    const auto answer = script_(std::string(targets.back()));
    if (answer) {
      co_await stream.write(*answer);
    } else {
      co_await stream.read_some(buffer);  // until the other side gives up
    }
  }

  tcp::acceptor acceptor_;
  TaskGroup& tasks_;
  Script script_;
};

}  // namespace svc::test
