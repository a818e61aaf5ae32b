// The registry watcher against a scripted registry and against the real one, in one process.
#include "router/io/registry_watcher.hpp"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "registry/app.hpp"
#include "registry/config.hpp"
#include "router/core/fleet.hpp"
#include "tests/support/fake_registry.hpp"
#include "tests/support/http_fixture.hpp"
#include "tests/support/temp_folder.hpp"

namespace svc::router {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using test::FakeRegistry;

json service(const std::string& name, const std::string& host = "10.0.0.1") {
  return {{"name", name},         {"host", host},
          {"port", 5001},         {"hostname", "n"},
          {"status", "running"},  {"url", "http://" + host + ":5001"},
          {"is_healthy", true},   {"metadata", {{"type", "openai-api"}, {"models", {"m"}}}}};
}

std::string list_of(const std::vector<std::string>& names) {
  json services = json::array();
  for (const auto& name : names) services.push_back(service(name));
  return json{{"services", services}, {"total", names.size()}}.dump();
}

/// As our registry answers: with revision and epoch, in the body and beside it.
std::string stamped(json body, std::uint64_t revision, const std::string& epoch = "e1") {
  body["revision"] = revision;
  body["epoch"] = epoch;
  return FakeRegistry::ok(body.dump(), "X-Registry-Revision: " + std::to_string(revision) + "\r\n");
}
std::string stamped_list(const std::vector<std::string>& names, std::uint64_t revision, bool warming = false) {
  json body = json::parse(list_of(names));
  if (warming) body["warming"] = true;
  return stamped(std::move(body), revision);
}
json change(std::uint64_t revision, const std::string& name, const json& now) {
  return {{"revision", revision}, {"event", "updated"}, {"name", name}, {"service", now}};
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
  FakeRegistry fake_;
  Resolver resolver_;
  HttpClient client_;
  Random random_{1};
  Timer event_;
  Fleet fleet_{FleetSettings{}};
  std::string lists_;  ///< H healthy only, A all, I incomplete
  std::unique_ptr<RegistryWatcher> watcher_;
};

TEST_F(RouterWatcherTest, OriginalRegistry_IsPolledAsItAlwaysWas) {
  fake_.start([this](const std::string&) { return FakeRegistry::ok(list_of({fake_.targets.size() < 2 ? "a" : "b"})); });
  watch(fake_.url(), 10ms);
  run([](RouterWatcherTest& t) -> asio::awaitable<void> {
    co_await t.until([&t] { return t.fake_.targets.size() >= 3; }, "three polls");
    co_await t.end();
  }(*this));
  for (const auto& target : fake_.targets) EXPECT_EQ(target, "/services?healthy=true");
  EXPECT_NE(fake_.heads[0].find("Authorization: Bearer sesame\r\n"), std::string::npos);
  EXPECT_EQ(watcher_->link(), RegistryLink::polling);
  EXPECT_EQ(lists_.substr(0, 2), "HH");
  EXPECT_EQ(names(), "a b") << "one that is missing stays for the grace period";
  EXPECT_TRUE(watcher_->age(steady_now()).has_value());
}

TEST_F(RouterWatcherTest, OurRegistry_IsWatchedFromAWholeList) {
  fake_.start([this](const std::string& target) -> std::optional<std::string> {
    switch (fake_.targets.size()) {
      case 1: EXPECT_EQ(target, "/services?healthy=true"); return stamped_list({"a"}, 5);
      case 2: EXPECT_EQ(target, "/services"); return stamped_list({"a", "b"}, 5);
      case 3:
        EXPECT_EQ(target, "/services?changes=true&since=5&epoch=e1&wait=10000ms");
        return stamped({{"changes", {change(6, "a", nullptr), change(7, "c", service("c"))}}}, 7);
      default: EXPECT_EQ(target, "/services?changes=true&since=7&epoch=e1&wait=10000ms"); return std::nullopt;
    }
  });
  watch(fake_.url() + "/");
  run([](RouterWatcherTest& t) -> asio::awaitable<void> {
    co_await t.until([&t] { return t.fake_.targets.size() == 4; }, "four questions");
    co_await t.end();
  }(*this));
  EXPECT_EQ(names(), "b c");
  EXPECT_EQ(lists_, "A");
  EXPECT_EQ(watcher_->link(), RegistryLink::watching);
  EXPECT_EQ(watcher_->revision(), 7U);
  EXPECT_EQ(watcher_->counters().watch_events, 2U);
  EXPECT_EQ(watcher_->counters().resyncs, 1U);
}

TEST_F(RouterWatcherTest, MissingRevision_TheWholeListIsAskedFor) {
  fake_.start([this](const std::string& target) -> std::optional<std::string> {
    switch (fake_.targets.size()) {
      case 1:
      case 2: return stamped_list({"a"}, 5);
      case 3: return stamped({{"changes", {change(7, "c", service("c"))}}}, 7);
      case 4: EXPECT_EQ(target, "/services"); return stamped_list({"d"}, 8);
      default: return std::nullopt;
    }
  });
  watch(fake_.url());
  run([](RouterWatcherTest& t) -> asio::awaitable<void> {
    co_await t.until([&t] { return t.fake_.targets.size() == 5; }, "the whole list and the watch after it");
    co_await t.end();
  }(*this));
  EXPECT_EQ(names(), "d");
  EXPECT_EQ(watcher_->revision(), 8U);
}

TEST_F(RouterWatcherTest, Warming_NothingIsForgottenUntilItEnds) {
  fake_.start([this](const std::string& target) -> std::optional<std::string> {
    switch (fake_.targets.size()) {
      case 1:
      case 2: return stamped_list({"b"}, 1, true);
      case 3: EXPECT_EQ(target, "/services?since=1&epoch=e1&wait=10000ms"); return stamped_list({"c"}, 2);
      default: EXPECT_EQ(target, "/services?changes=true&since=2&epoch=e1&wait=10000ms"); return std::nullopt;
    }
  });
  UpstreamSpec kept;
  kept.name = "a";
  fleet_.load_view({kept}, steady_now());
  std::string in_between;
  watch(fake_.url());
  run([](RouterWatcherTest& t, std::string& names) -> asio::awaitable<void> {
    co_await t.until([&t] { return t.lists_ == "I"; }, "the first list");
    names = t.names();
    co_await t.until([&t] { return t.fake_.targets.size() == 4; }, "the watch");
    co_await t.end();
  }(*this, in_between));
  EXPECT_EQ(in_between, "a b");
  EXPECT_EQ(lists_, "IA");
  EXPECT_EQ(names(), "c");
}

TEST_F(RouterWatcherTest, Trouble_TheListStaysAndTheWatchGoesOn) {
  std::vector<std::string> errors;
  fake_.start([this, &errors](const std::string& target) -> std::optional<std::string> {
    errors.push_back(watcher_->last_error());
    switch (fake_.targets.size()) {
      case 1:
      case 2: return stamped_list({"a"}, 5);
      case 3: return "HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n";
      case 4: return FakeRegistry::ok("<html>");
      case 5: return FakeRegistry::ok("{\"services\":5}");
      case 6: return "";
      case 7:
        EXPECT_EQ(target, "/services?changes=true&since=5&epoch=e1") << "without a wait: it is to be known at once";
        return stamped({{"changes", json::array()}}, 5);
      default: return std::nullopt;
    }
  });
  watch(fake_.url(), 50ms);
  run([](RouterWatcherTest& t) -> asio::awaitable<void> {
    co_await t.until([&t] { return t.fake_.targets.size() == 8; }, "the watch again");
    co_await t.end();
  }(*this));
  ASSERT_EQ(errors.size(), 8U);
  EXPECT_EQ(errors[2], "");
  EXPECT_EQ(errors[3], "the registry answered with status 503");
  for (std::size_t i = 4; i < 7; ++i) EXPECT_NE(errors[i], "") << i;
  EXPECT_EQ(errors[7], "");
  EXPECT_EQ(watcher_->counters().errors, 4U);
  EXPECT_EQ(names(), "a");
  EXPECT_EQ(lists_, "A");
}

TEST_F(RouterWatcherTest, Services_OfForbiddenAddressesArePassedOver) {
  fake_.start([](const std::string&) {
    const json body = {{"services", {service("meta", "169.254.169.254"), service("in"), service("out", "192.0.2.1"), 5}}};
    return FakeRegistry::ok(body.dump());
  });
  watch(fake_.url(), 10s, AddressPolicy{{*Cidr::parse("10.0.0.0/8")}, true});
  run([](RouterWatcherTest& t) -> asio::awaitable<void> {
    co_await t.until([&t] { return !t.lists_.empty(); }, "a list");
    co_await t.end();
  }(*this));
  EXPECT_EQ(names(), "in");
  EXPECT_EQ(watcher_->counters().unreadable, 3U);
}

TEST_F(RouterWatcherTest, AnotherRegistry_IsAskedAtOnce) {
  FakeRegistry other(io_.get_executor(), tasks_);
  other.start([](const std::string&) { return FakeRegistry::ok(list_of({"there"})); });
  fake_.start([this](const std::string&) -> std::optional<std::string> {
    if (fake_.targets.size() > 2) return std::nullopt;
    return stamped_list({"here"}, 5);
  });
  watch(fake_.url());
  run([](RouterWatcherTest& t, const std::string& url) -> asio::awaitable<void> {
    co_await t.until([&t] { return t.fake_.targets.size() == 3; }, "the watch");
    t.watcher_->reconfigure({*parse_http_url(url), "", 10s, {}});
    co_await t.until([&t] { return t.lists_ == "AH"; }, "the list of the other one");
    co_await t.end();
  }(*this, other.url()));
  EXPECT_EQ(watcher_->link(), RegistryLink::polling);
  EXPECT_EQ(names(), "here there");
  EXPECT_EQ(other.heads[0].find("Authorization"), std::string::npos);
}

/// The registry itself, on the same io_context.
class RealRegistry {
 public:
  RealRegistry(asio::io_context& io, const test::TempFolder& folder, int port) {
    const std::map<std::string, std::string> settings = {
        {"host", "127.0.0.1"},  {"port", std::to_string(port)},           {"state_db", ":memory:"},
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
  EXPECT_LE(took[48], 100ms);
  RecordProperty("p50_us", static_cast<int>(took[25] / 1us));
  RecordProperty("max_us", static_cast<int>(took[49] / 1us));
  EXPECT_EQ(watcher_->counters().watch_events, 50U);
  EXPECT_EQ(watcher_->counters().resyncs, 1U);
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
