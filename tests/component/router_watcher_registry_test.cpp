// The registry watcher against the real registry, in one process.
#include <algorithm>
#include <map>

#include "registry/app.hpp"
#include "registry/config.hpp"
#include "tests/support/patience.hpp"
#include "tests/support/temp_folder.hpp"
#include "tests/support/watcher_fixture.hpp"

namespace svc::router {
namespace {

/// The registry itself, on the same io_context.
class RealRegistry {
 public:
  RealRegistry(asio::io_context& io, const test::TempFolder& folder, int port) {
    const std::map<std::string, std::string> settings = {
        {"host", "127.0.0.1"},  {"port", std::to_string(port)},         {"state_db", ":memory:"},
        {"warming_time", "0s"}, {"port_file", folder.path("port.txt")}, {"health_interval", "0s"}};
    for (const auto& [key, value] : settings) EXPECT_TRUE(config_.options().set(key, value, key).has_value()) << key;
    EXPECT_TRUE(config_.validate().has_value());
    app_ = registry::make_registry_app(io, config_);
    const auto bound = app_->bind();
    EXPECT_TRUE(bound.has_value()) << bound.error().to_string();
    EXPECT_TRUE(app_->start().has_value());
    port_ = std::stoi(folder.read("port.txt"));
  }
  asio::awaitable<void> stop() {
    co_await app_->drain(Deadline::after(steady_now(), 2s));
    app_->stop();
  }
  int port() const { return port_; }
  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }

 private:
  registry::RegistryConfig config_;
  std::unique_ptr<DaemonApp> app_;
  int port_ = 0;
};

TEST_F(RouterWatcherTest, R12_ChangesOfTheRealRegistryAreKnownWithin100Milliseconds) {
  test::TempFolder folder;
  RealRegistry registry(io_, folder, 0);
  std::vector<Duration> took;
  watch(registry.url());
  run([](RouterWatcherTest& t, RealRegistry& r, std::vector<Duration>& times) -> asio::awaitable<void> {
    co_await t.until([&t] { return t.watcher_->last_contact().has_value(); }, "the first list");
    for (int i = 0; i < 50; ++i) {
      const std::string name = "s" + std::to_string(i / 2);
      HttpCall call;
      call.method = i % 2 == 0 ? "POST" : "DELETE";
      call.url = *parse_http_url(r.url() + (i % 2 == 0 ? "/services" : "/services/" + name));
      if (i % 2 == 0) call.body = service(name).dump();
      const auto reply = co_await t.client_.call(std::move(call), Deadline::after(steady_now(), 10s));
      EXPECT_TRUE(reply.has_value());
      const TimePoint answered = steady_now();
      const std::string wanted = i % 2 == 0 ? name : "";
      co_await t.until([&t, &wanted] { return t.names() == wanted; }, "a change");
      times.push_back(steady_now() - answered);
    }
    co_await t.end();
    co_await r.stop();
  }(*this, registry, took));
  settle();
  std::sort(took.begin(), took.end());
  ASSERT_EQ(took.size(), 50U);
  EXPECT_LE(took[48], test::patience(100ms));
  RecordProperty("p50_us", static_cast<int>(took[25] / 1us));
  RecordProperty("max_us", static_cast<int>(took[49] / 1us));
  EXPECT_EQ(watcher_->counters().watch_events, 50U);
  EXPECT_GE(watcher_->counters().resyncs, 1U);
}

TEST_F(RouterWatcherTest, R11_ANewBootOfTheRealRegistryIsResynced) {
  test::TempFolder folder;
  auto first = std::make_unique<RealRegistry>(io_, folder, 0);
  std::unique_ptr<RealRegistry> second;
  watch(first->url(), 100ms);
  run([](RouterWatcherTest& t, const test::TempFolder& f, std::unique_ptr<RealRegistry>& a,
         std::unique_ptr<RealRegistry>& b) -> asio::awaitable<void> {
    const auto post = [&t](const std::string& url, const std::string& name) {
      HttpCall call;
      call.method = "POST";
      call.url = *parse_http_url(url + "/services");
      call.body = service(name).dump();
      return t.client_.call(std::move(call), Deadline::after(steady_now(), 10s));
    };
    const auto one = co_await post(a->url(), "one");
    EXPECT_TRUE(one.has_value());
    co_await t.until([&t] { return t.names() == "one"; }, "the first service");
    co_await a->stop();
    co_await t.until([&t] { return t.watcher_->counters().errors > 0; }, "an error");
    EXPECT_EQ(t.names(), "one") << "the list stays while the registry is down";
    b = std::make_unique<RealRegistry>(t.io_, f, a->port());
    const auto two = co_await post(b->url(), "two");
    EXPECT_TRUE(two.has_value());
    co_await t.until([&t] { return t.names() == "two"; }, "the list of the new boot");
    co_await t.end();
    co_await b->stop();
  }(*this, folder, first, second));
  settle();
  EXPECT_EQ(watcher_->last_error(), "");
}

}  // namespace
}  // namespace svc::router
