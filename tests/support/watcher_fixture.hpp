// A registry watcher that fills a fleet, on the io_context of the test.
#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "router/core/fleet.hpp"
#include "router/io/registry_watcher.hpp"
#include "tests/support/fake_registry.hpp"
#include "tests/support/http_fixture.hpp"

namespace svc::router {

using namespace std::chrono_literals;

/// As a registry lists it.
inline nlohmann::json service(const std::string& name, const std::string& host = "10.0.0.1") {
  return {{"name", name},        {"host", host},
          {"port", 5001},        {"hostname", "n"},
          {"status", "running"}, {"url", "http://" + host + ":5001"},
          {"is_healthy", true},  {"metadata", {{"type", "openai-api"}, {"models", {"m"}}}}};
}

class RouterWatcherTest : public test::HttpFixture {
 public:
  RouterWatcherTest()
      : tasks_(io_.get_executor(), [](const char*, const std::string& what) { ADD_FAILURE() << what; }),
        fake_(io_.get_executor(), tasks_),
        resolver_(io_.get_executor()),
        client_(io_.get_executor(), resolver_, "test"),
        event_(io_.get_executor()) {}

  void watch(const std::string& url, Duration sync_interval = 10s, AddressPolicy policy = {}) {
    watcher_ = std::make_unique<RegistryWatcher>(
        io_.get_executor(), client_,
        RegistryWatcherSettings{*parse_http_url(url), "sesame", sync_interval, std::move(policy)}, random_,
        RegistryWatcherCallbacks{[this](std::vector<UpstreamSpec> specs, bool healthy_only, bool incomplete) {
                                   lists_ += healthy_only ? "H" : incomplete ? "I" : "A";
                                   fleet_.apply_list(std::move(specs), healthy_only, incomplete, steady_now());
                                 },
                                 [this](const std::string& name, std::optional<UpstreamSpec> spec) {
                                   fleet_.apply_change(name, std::move(spec), steady_now());
                                   event_.cancel();
                                 },
                                 [this](TimePoint) { event_.cancel(); }});
    watcher_->start(tasks_);
  }
  std::string names() const {
    std::string text;
    for (const auto& upstream : fleet_.upstreams()) text += (text.empty() ? "" : " ") + upstream.spec.name;
    return text;
  }
  /// Waits for the callbacks; what no callback tells of is looked at every 20 ms.
  asio::awaitable<void> until(std::function<bool()> reached, const char* what) {
    const auto deadline = Deadline::after(steady_now(), 20s);
    while (!reached()) {
      if (deadline.expired(steady_now())) {
        ADD_FAILURE() << "in vain: " << what << "; " << watcher_->last_error();
        co_return;
      }
      event_.expires_after(20ms);
      co_await event_.async_wait(kTok);
    }
  }
  /// Lets what was stopped come to its end.
  void settle() {
    io_.restart();
    io_.run_for(5s);
  }
  asio::awaitable<void> end() {
    watcher_->stop();
    tasks_.close();
    tasks_.cancel();
    co_await tasks_.join();
  }

  TaskGroup tasks_;
  test::FakeRegistry fake_;
  Resolver resolver_;
  HttpClient client_;
  Random random_{1};
  Timer event_;
  Fleet fleet_{FleetSettings{}};
  std::string lists_;  ///< H healthy only, A all, I incomplete
  std::unique_ptr<RegistryWatcher> watcher_;
};

}  // namespace svc::router
