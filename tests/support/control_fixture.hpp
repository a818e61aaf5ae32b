// A ControlPlane over engines that are played by the test, all on the test's io_context.
#pragma once

#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/io/stream.hpp"
#include "common/io/task_group.hpp"
#include "router/config.hpp"
#include "router/io/control_plane.hpp"
#include "router/io/outlier_board.hpp"
#include "router/io/wait_queues.hpp"

namespace svc::test {

/// Answers GET requests by path, or not at all.
class FakeEngine {
 public:
  FakeEngine(asio::io_context& io, std::uint16_t port = 0)
      : acceptor_(io, tcp::endpoint(asio::ip::address_v4::loopback(), port)),
        port_(acceptor_.local_endpoint().port()),
        tasks_(io.get_executor(), [](const char*, const std::string&) {}) {
    tasks_.spawn("engine", accept());
  }

  std::uint16_t port() const { return port_; }
  /// Nothing listens any more.
  void die() {
    acceptor_.close();
    tasks_.close();
    tasks_.cancel();
  }

  std::map<std::string, std::pair<int, std::string>> pages{{"/health", {200, "{}"}}};  ///< others are 404
  bool hangs = false;  ///< accepts and reads, says nothing
  std::map<std::string, int> asked;
  std::string last_request;

 private:
  asio::awaitable<void> accept() {
    for (;;) {
      auto [ec, socket] = co_await acceptor_.async_accept(kTok);
      if (ec) co_return;
      tasks_.spawn("connection", serve(std::move(socket)));
    }
  }
  asio::awaitable<void> serve(tcp::socket socket) {
    Stream stream(std::move(socket));
    stream.prepare();
    std::string text;
    std::array<char, 4096> buffer;
    while (text.find("\r\n\r\n") == std::string::npos) {
      const auto [ec, data] = co_await stream.read_some(buffer);
      if (ec) co_return;
      text.append(data);
    }
    const auto path = text.substr(4, text.find(' ', 4) - 4);
    ++asked[path];
    last_request = text;
    if (hangs) {
      co_await stream.read_some(buffer);  // until the client gives up
      co_return;
    }
    const auto found = pages.find(path);
    const auto& [status, body] = found == pages.end() ? missing_ : found->second;
    const std::string answer = "HTTP/1.1 " + std::to_string(status) +
                               " X\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
    co_await stream.write(answer);
  }

  tcp::acceptor acceptor_;
  std::uint16_t port_;
  const std::pair<int, std::string> missing_{404, ""};
  TaskGroup tasks_;
};

class ControlFixture : public ::testing::Test {
 public:
  ControlFixture() : queues_(router::QueueSettings{}) {
    settings_.host = "127.0.0.1";
    settings_.state_dir = "";
    settings_.health_interval = std::chrono::milliseconds(300);
    settings_.health_timeout = std::chrono::seconds(2);
  }
  ~ControlFixture() override {
    for (auto& engine : engines_) engine->die();
    if (control_) control_->stop();
    io_.restart();
    io_.run_for(std::chrono::seconds(10));
    EXPECT_TRUE(io_.stopped()) << "something still runs after stop()";
  }

  FakeEngine& engine(std::uint16_t port = 0) {
    engines_.push_back(std::make_unique<FakeEngine>(io_, port));
    return *engines_.back();
  }

  /// A static service.
  router::UpstreamSpec& add(const std::string& name, std::uint16_t port, std::vector<std::string> models = {}) {
    router::UpstreamSpec spec;
    spec.name = name;
    spec.endpoint = {"127.0.0.1", port};
    spec.url = "http://127.0.0.1:" + std::to_string(port);
    spec.from_config = true;
    spec.models_stated = !models.empty();
    spec.models = std::move(models);
    settings_.static_upstreams.push_back(std::move(spec));
    return settings_.static_upstreams.back();
  }

  void start(std::uint16_t listen_port = 1) {
    router::ControlParts parts;
    parts.publish = [this](std::shared_ptr<const router::RoutingTable> table) {
      table_ = std::move(table);
      ++tables_;
    };
    parts.hung = [this](const std::shared_ptr<router::UpstreamLive>& live) { hung_.push_back(live.get()); };
    parts.threads = {&thread_stats_};
    parts.queues = &queues_;
    parts.outliers = &outliers_;
    control_ = std::make_unique<router::ControlPlane>(io_, settings_, std::move(parts));
    const auto started = control_->start(listen_port);
    ASSERT_TRUE(started.has_value()) << started.error().to_string();
    ASSERT_NE(table_, nullptr) << "the first table is there when start() returns";
  }

  /// Runs the loop until `done`; false when that took longer than `limit`.
  bool run_until(const std::function<bool()>& done, Duration limit = std::chrono::seconds(10)) {
    const TimePoint end = steady_now() + limit;
    while (!done()) {
      const TimePoint now = steady_now();
      if (now >= end) return false;
      io_.restart();
      io_.run_one_for(std::min<Duration>(end - now, std::chrono::milliseconds(20)));
    }
    return true;
  }

  const router::Upstream& upstream(const std::string& name) const {
    for (const auto& upstream : table_->upstreams()) {
      if (upstream.spec.name == name) return upstream;
    }
    throw std::runtime_error("no upstream " + name);
  }
  router::UpstreamLive& live(const std::string& name) const { return *upstream(name).live; }
  bool is(const std::string& name, router::ProbeVerdict verdict) const { return live(name).verdict == verdict; }

  router::OwnAnswer get(const std::string& path, const std::string& query = "", const std::string& method = "GET") {
    std::optional<router::OwnAnswer> answer;
    router::OwnRequest request;
    request.method = method;
    request.path = path;
    request.query = query;
    request.client_address = "10.0.0.1";
    control_->own_request(std::move(request), [&](router::OwnAnswer made) { answer = std::move(made); });
    EXPECT_TRUE(run_until([&] { return answer.has_value(); })) << path;
    return answer.value_or(router::OwnAnswer{});
  }

  asio::io_context io_{1};
  router::RouterSettings settings_;
  router::WaitQueues queues_;
  router::OutlierBoard outliers_;
  router::ThreadStats thread_stats_;
  std::vector<std::unique_ptr<FakeEngine>> engines_;
  std::unique_ptr<router::ControlPlane> control_;
  std::shared_ptr<const router::RoutingTable> table_;
  int tables_ = 0;
  std::vector<router::UpstreamLive*> hung_;
};

}  // namespace svc::test
