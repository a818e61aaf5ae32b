// The registry watcher against a scripted registry.
#include "tests/support/watcher_fixture.hpp"

namespace svc::router {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using test::FakeRegistry;

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

TEST_F(RouterWatcherTest, WholeList_AskedForAgainEachSyncInterval_AndItsLossesNoticed) {
  // This registry forgets to tell of a change: nothing but the whole list shows it.
  fake_.start([this](const std::string& target) -> std::optional<std::string> {
    if (target == "/services?healthy=true") return stamped_list({"a", "b"}, 5);
    if (target == "/services")
      return stamped_list(lists_.size() < 2 ? std::vector<std::string>{"a", "b"} : std::vector<std::string>{"b"}, 5);
    return stamped({{"changes", json::array()}}, 5);
  });
  watch(fake_.url(), 20ms);
  run([](RouterWatcherTest& t) -> asio::awaitable<void> {
    co_await t.until([&t] { return t.names() == "b"; }, "a list without the one that is gone");
    co_await t.end();
  }(*this));
  EXPECT_GE(watcher_->counters().resyncs, 3U);
  EXPECT_EQ(watcher_->counters().watch_events, 0U);
  EXPECT_EQ(watcher_->counters().errors, 0U);
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
      case 3:  // an explicit removal would come here
        EXPECT_EQ(target, "/services?changes=true&since=1&epoch=e1&wait=10000ms");
        return stamped({{"changes", json::array()}}, 1);
      case 4:
        EXPECT_EQ(target, "/services") << "it is warm: what is not listed now is gone";
        return stamped_list({"c"}, 2);
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
    co_await t.until([&t] { return t.fake_.targets.size() == 5; }, "the watch");
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
    const json body = {
        {"services", {service("meta", "169.254.169.254"), service("in"), service("out", "192.0.2.1"), 5}}};
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

}  // namespace
}  // namespace svc::router
