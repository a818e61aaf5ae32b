// The link of an agent to its registry, against one that knows what the earlier Python registry knew: POST /services,
// heartbeats whose body it does not look at, DELETE.
#include <algorithm>
#include <map>

#include "agent/io/registry_link.hpp"
#include "tests/support/fake_registry.hpp"
#include "tests/support/http_fixture.hpp"

namespace svc::agent {
namespace {

using namespace std::chrono_literals;

struct SeenCall {
  std::string what;  ///< "POST /services"
  std::string query, body, authorization, content_type;
  TimePoint at;
};

class SmallRegistry {
 public:
  explicit SmallRegistry(asio::any_io_executor executor) : executor_(executor) {}

  /// Comes up on the port it had before, knowing nothing.
  void start() {
    entries.clear();
    HttpServerHooks hooks;
    hooks.on_bug = [](const std::string& what) { ADD_FAILURE() << what; };
    hooks.on_trouble = [](const std::string& what) { ADD_FAILURE() << what; };
    hooks.random = [] { return std::uint64_t{1}; };
    HttpRoutes routes;
    add(routes, "POST", "/services", &SmallRegistry::enroll);
    add(routes, "POST", "/services/{name}/heartbeat", &SmallRegistry::heartbeat);
    add(routes, "DELETE", "/services/{name}", &SmallRegistry::withdraw);
    server_ = std::make_unique<HttpServer>(executor_, "small", std::move(routes), std::move(hooks));
    const auto bound = server_->bind({"127.0.0.1", port_});
    ASSERT_TRUE(bound.has_value()) << bound.error().to_string();
    port_ = server_->port();
    server_->start();
  }
  asio::awaitable<void> stop() {
    co_await server_->drain(Deadline::after(steady_now(), 2s));
    server_.reset();
  }
  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }

  std::map<std::string, std::string> entries;  ///< name to the body that registered it
  std::vector<SeenCall> calls;
  std::uint64_t generation = 0;  ///< of the last registration; 0 = it knows of none, as the earlier ones
  bool taken = false;            ///< somebody else has registered the name since
  int refusal = 0;               ///< a status that every call gets instead of an answer

 private:
  using Handler = HttpResponse (SmallRegistry::*)(const HttpRequest&);
  void add(HttpRoutes& routes, const char* method, const char* pattern, Handler handler) {
    routes.add(
        method, pattern,
        {[this, handler](const HttpRequest& request) { return answer(handler, request); }, Access::open, 10'000});
  }
  asio::awaitable<HttpResponse> answer(Handler handler, const HttpRequest& request) {
    calls.push_back({std::string(request.method) + " " + std::string(request.path), "", std::string(request.body),
                     std::string(request.field("Authorization")), std::string(request.field("Content-Type")),
                     steady_now()});
    if (const auto given = request.query.get("generation")) calls.back().query = *given;
    if (refusal != 0) co_return reply(refusal, R"({"error":"name is not on the list"})");
    co_return (this->*handler)(request);
  }
  HttpResponse enroll(const HttpRequest& request) {
    if (taken) return reply(409, R"({"error":"by someone else"})");
    entries["gpu 1"] = request.body;
    if (generation == 0) return reply(201, R"({"message":"registered"})");
    return reply(201, R"({"message":"registered","service":{"generation":)" + std::to_string(++generation) + "}}");
  }
  HttpResponse heartbeat(const HttpRequest& request) {
    if (taken) return reply(409, R"({"error":"by someone else"})");
    return entries.contains(request.params[0]) ? reply(200, R"({"message":"Heartbeat received"})")
                                               : reply(404, R"({"error":"not found"})");
  }
  HttpResponse withdraw(const HttpRequest& request) {
    if (taken) return reply(409, R"({"error":"by someone else"})");
    return entries.erase(request.params[0]) > 0 ? reply(200, "{}") : reply(404, "{}");
  }
  static HttpResponse reply(int status, std::string body) {
    HttpResponse response;
    response.status = status;
    response.body = std::move(body);
    return response;
  }

  asio::any_io_executor executor_;
  std::uint16_t port_ = 0;
  std::unique_ptr<HttpServer> server_;
};

constexpr auto kEnroll = "POST /services";
constexpr auto kHeartbeat = "POST /services/gpu%201/heartbeat";
constexpr auto kWithdraw = "DELETE /services/gpu%201";

class AgentRegistryLinkTest : public test::HttpFixture {
 public:
  AgentRegistryLinkTest()
      : tasks_(io_.get_executor(), [](const char*, const std::string& what) { ADD_FAILURE() << what; }),
        registry_(io_.get_executor()),
        resolver_(io_.get_executor()),
        client_(io_.get_executor(), resolver_, "test"),
        timer_(io_.get_executor()) {
    EXPECT_TRUE(set_log_levels("info").has_value());
    set_log_tap([this](LogLevel level, std::string_view, std::string_view line) {
      lines_.emplace_back(level, std::string(line));
    });
  }
  ~AgentRegistryLinkTest() override {
    set_log_tap({});
    EXPECT_TRUE(set_log_levels("warn").has_value());
  }

  void link_to(const std::string& url, Duration interval) {
    link_ = std::make_unique<RegistryLink>(
        io_.get_executor(), client_, random_, url, "sesame", "gpu 1", interval,
        RegistryLink::Bodies{[this] { return R"({"name":"gpu 1","status":")" + status_ + R"("})"; },
                             [this] {
                               beats_.push_back(steady_now());
                               return R"({"status":")" + status_ + R"("})";
                             }});
    link_->start(tasks_);
  }
  std::size_t seen(std::string_view what) const {
    return static_cast<std::size_t>(std::count_if(registry_.calls.begin(), registry_.calls.end(),
                                                  [what](const SeenCall& call) { return call.what == what; }));
  }
  std::size_t logged(LogLevel level, std::string_view text) const {
    return static_cast<std::size_t>(std::count_if(lines_.begin(), lines_.end(), [&](const auto& line) {
      return line.first == level && line.second.find(text) != std::string::npos;
    }));
  }
  asio::awaitable<void> until(std::function<bool()> reached, const char* what) {
    const auto deadline = Deadline::after(steady_now(), 20s);
    while (!reached()) {
      if (deadline.expired(steady_now())) {
        ADD_FAILURE() << "in vain: " << what;
        co_return;
      }
      co_await pause(2ms);
    }
  }
  asio::awaitable<void> pause(Duration time) {
    timer_.expires_after(time);
    co_await timer_.async_wait(kTok);
  }
  asio::awaitable<void> end() {
    link_->stop();
    tasks_.close();
    tasks_.cancel();
    co_await tasks_.join();
  }

  TaskGroup tasks_;
  SmallRegistry registry_;
  Resolver resolver_;
  HttpClient client_;
  Random random_{1};
  Timer timer_;
  std::string status_ = "running";
  std::vector<TimePoint> beats_;  ///< when each heartbeat was made
  std::vector<std::pair<LogLevel, std::string>> lines_;
  std::unique_ptr<RegistryLink> link_;
};

TEST_F(AgentRegistryLinkTest, Wanted_RegistersAndHeartbeatsAtTheInterval) {
  registry_.start();
  link_to(registry_.url() + "/", 100ms);
  run([](AgentRegistryLinkTest& t) -> asio::awaitable<void> {
    co_await t.pause(20ms);
    EXPECT_TRUE(t.registry_.calls.empty()) << "nothing was wanted yet";
    t.link_->want();
    co_await t.until([&t] { return t.seen(kHeartbeat) >= 5; }, "five heartbeats");
    co_await t.end();
    co_await t.registry_.stop();
  }(*this));
  const auto& calls = registry_.calls;
  ASSERT_GE(calls.size(), 6U);
  EXPECT_EQ(calls[0].what, kEnroll);
  EXPECT_EQ(calls[0].body, R"({"name":"gpu 1","status":"running"})");
  for (std::size_t i = 0; i < calls.size(); ++i) {
    EXPECT_EQ(calls[i].authorization, "Bearer sesame");
    EXPECT_EQ(calls[i].content_type, "application/json");
    if (i == 0) continue;
    EXPECT_EQ(calls[i].what, kHeartbeat);
    EXPECT_EQ(calls[i].body, R"({"status":"running"})");
  }
  ASSERT_GE(beats_.size(), 5U);
  for (std::size_t i = 1; i < beats_.size(); ++i)
    EXPECT_GE(beats_[i] - beats_[i - 1], 80ms) << "an interval is 90 ms at least";
  EXPECT_TRUE(link_->enrolled());
  EXPECT_EQ(logged(LogLevel::info, "registered"), 1U);
}

TEST_F(AgentRegistryLinkTest, HeartbeatUnknown_RegistersAgainAtOnce) {
  registry_.start();
  link_to(registry_.url(), 1h);
  run([](AgentRegistryLinkTest& t) -> asio::awaitable<void> {
    t.link_->want();
    co_await t.until([&t] { return t.link_->enrolled(); }, "the registration");
    t.registry_.entries.clear();
    t.link_->hurry();
    co_await t.until([&t] { return t.registry_.entries.contains("gpu 1"); }, "the entry again");
    co_await t.end();
    co_await t.registry_.stop();
  }(*this));
  const auto& calls = registry_.calls;
  EXPECT_EQ(calls.back().what, kEnroll);
  EXPECT_EQ(calls[calls.size() - 2].what, kHeartbeat);
  EXPECT_EQ(logged(LogLevel::info, "the registry has lost the service"), 1U);
}

TEST_F(AgentRegistryLinkTest, RegistryDownForAWhile_IsToldOfTheServiceWhenItIsBack) {
  registry_.start();
  link_to(registry_.url(), 100ms);
  run([](AgentRegistryLinkTest& t) -> asio::awaitable<void> {
    t.link_->want();
    co_await t.until([&t] { return t.link_->enrolled(); }, "the registration");
    co_await t.registry_.stop();
    co_await t.until([&t] { return t.link_->failures_in_a_row() >= 5; }, "five failures");
    t.registry_.start();
    co_await t.until([&t] { return t.registry_.entries.contains("gpu 1"); }, "the entry again");
    const auto before = t.seen(kHeartbeat);
    co_await t.until([&t, before] { return t.seen(kHeartbeat) > before; }, "a heartbeat");
    EXPECT_EQ(t.link_->failures_in_a_row(), 0U);
    co_await t.end();
    co_await t.registry_.stop();
  }(*this));
  EXPECT_EQ(logged(LogLevel::warn, "the registry cannot be used"), 1U) << "an outage is one line";
  EXPECT_EQ(logged(LogLevel::warn, "nothing listens on"), 1U) << "with its reason";
  EXPECT_EQ(logged(LogLevel::info, "the registry answers again"), 1U);
}

TEST_F(AgentRegistryLinkTest, RegistryDownFromTheStart_IsRegisteredOnceItIsThere) {
  run([](AgentRegistryLinkTest& t) -> asio::awaitable<void> {
    t.registry_.start();
    co_await t.registry_.stop();
    t.link_to(t.registry_.url(), 100ms);
    t.link_->want();
    co_await t.until([&t] { return t.link_->failures_in_a_row() >= 2; }, "two failures");
    t.registry_.start();
    co_await t.until([&t] { return t.link_->enrolled(); }, "the registration");
    co_await t.end();
    co_await t.registry_.stop();
  }(*this));
}

TEST_F(AgentRegistryLinkTest, Hurry_TellsTheStatusAtOnceAndWantTheRegistration) {
  registry_.start();
  link_to(registry_.url(), 1h);
  std::vector<Duration> took;
  run([](AgentRegistryLinkTest& t, std::vector<Duration>& times) -> asio::awaitable<void> {
    t.link_->want();
    co_await t.until([&t] { return t.link_->enrolled(); }, "the registration");
    for (const char* status : {"unhealthy", "draining"}) {
      t.status_ = status;
      const TimePoint asked = steady_now();
      t.link_->hurry();
      const auto before = t.registry_.calls.size();
      co_await t.until([&t, before] { return t.registry_.calls.size() > before; }, "a call");
      EXPECT_EQ(t.registry_.calls.back().what, kHeartbeat);
      EXPECT_EQ(t.registry_.calls.back().body, R"({"status":")" + t.status_ + R"("})");
      times.push_back(t.registry_.calls.back().at - asked);
    }
    t.status_ = "running";
    t.link_->want();
    co_await t.until([&t] { return t.seen(kEnroll) == 2; }, "the second registration");
    EXPECT_EQ(t.registry_.entries["gpu 1"], R"({"name":"gpu 1","status":"running"})");
    co_await t.end();
    co_await t.registry_.stop();
  }(*this, took));
  for (const auto time : took) EXPECT_LT(time, 5s);
  EXPECT_EQ(logged(LogLevel::info, "registered"), 1U) << "a refreshed registration is no news";
}

TEST_F(AgentRegistryLinkTest, Gone_WhenTheRegistryHasSaidSo) {
  registry_.start();
  link_to(registry_.url(), 1h);
  run([](AgentRegistryLinkTest& t) -> asio::awaitable<void> {
    t.link_->want();
    co_await t.until([&t] { return t.link_->enrolled(); }, "the registration");
    t.link_->want_gone();
    const bool gone = co_await t.link_->gone(Deadline::after(steady_now(), 10s));
    EXPECT_TRUE(gone);
    EXPECT_FALSE(t.registry_.entries.contains("gpu 1"));
    EXPECT_EQ(t.registry_.calls.back().what, kWithdraw);
    EXPECT_FALSE(t.link_->enrolled());
    co_await t.end();
    co_await t.registry_.stop();
  }(*this));
  EXPECT_EQ(registry_.calls.size(), 2U);
  EXPECT_EQ(logged(LogLevel::info, "unregistered"), 1U);
}

TEST_F(AgentRegistryLinkTest, Gone_AtOnceWithoutARegistrationOrWithoutARegistry) {
  registry_.start();
  for (const auto& url : {registry_.url(), std::string()}) {
    link_to(url, 1h);
    run([](AgentRegistryLinkTest& t, bool has_registry) -> asio::awaitable<void> {
      if (!has_registry) t.link_->want();
      t.link_->want_gone();
      const bool gone = co_await t.link_->gone(Deadline::after(steady_now(), 10s));
      EXPECT_TRUE(gone);
      if (has_registry) {
        co_await t.pause(20ms);
        co_await t.registry_.stop();
      }
      t.link_->stop();
      co_await t.tasks_.join();
    }(*this, !url.empty()));
  }
  EXPECT_TRUE(registry_.calls.empty());
}

TEST_F(AgentRegistryLinkTest, Gone_GivesUpAtItsDeadline) {
  registry_.start();
  link_to(registry_.url(), 100ms);
  run([](AgentRegistryLinkTest& t) -> asio::awaitable<void> {
    t.link_->want();
    co_await t.until([&t] { return t.link_->enrolled(); }, "the registration");
    co_await t.registry_.stop();
    t.link_->want_gone();
    const TimePoint began = steady_now();
    const bool gone = co_await t.link_->gone(Deadline::after(began, 300ms));
    EXPECT_FALSE(gone);
    EXPECT_GE(steady_now() - began, 300ms);
    EXPECT_LT(steady_now() - began, 10s);
    co_await t.end();
  }(*this));
}

TEST_F(AgentRegistryLinkTest, Refused_TheRegistrysReasonIsLoggedAndItGoesOn) {
  registry_.start();
  registry_.refusal = 403;
  link_to(registry_.url(), 20ms);
  run([](AgentRegistryLinkTest& t) -> asio::awaitable<void> {
    t.link_->want();
    co_await t.until([&t] { return t.seen(kEnroll) >= 20; }, "twenty tries");
    EXPECT_FALSE(t.link_->enrolled());
    t.registry_.refusal = 0;
    co_await t.until([&t] { return t.link_->enrolled(); }, "the registration");
    co_await t.end();
    co_await t.registry_.stop();
  }(*this));
  EXPECT_GE(logged(LogLevel::error, "name is not on the list"), 1U);
  EXPECT_LE(logged(LogLevel::error, "name is not on the list"), 4U);
  EXPECT_EQ(logged(LogLevel::info, "the registry answers again"), 1U);
}

TEST_F(AgentRegistryLinkTest, RegistryThatNeverAnswers_DoesNotHoldUpTheEnd) {
  test::FakeRegistry silent(io_.get_executor(), tasks_);
  silent.start([](const std::string&) { return std::nullopt; });
  link_to(silent.url(), 100ms);
  TimePoint ended{};
  TimePoint began{};
  run([](AgentRegistryLinkTest& t, test::FakeRegistry& fake, TimePoint& from, TimePoint& to) -> asio::awaitable<void> {
    t.link_->want();
    co_await t.until([&fake] { return fake.targets.size() == 1; }, "a call");
    t.link_->want_gone();
    from = steady_now();
    const bool gone = co_await t.link_->gone(Deadline::after(from, 100ms));
    EXPECT_FALSE(gone) << "the call under way may have registered it";
    co_await t.end();
    to = steady_now();
  }(*this, silent, began, ended));
  EXPECT_LT(ended - began, 4s) << "not the five seconds that the call may take";
}

TEST_F(AgentRegistryLinkTest, Stop_EndsTheWaitForGone) {
  link_to("http://127.0.0.1:9", 1h);
  run([](AgentRegistryLinkTest& t) -> asio::awaitable<void> {
    t.link_->want();
    t.tasks_.spawn("stopper", [](AgentRegistryLinkTest& s) -> asio::awaitable<void> {
      co_await s.pause(20ms);
      s.link_->stop();
    }(t));
    const bool gone = co_await t.link_->gone(Deadline::after(steady_now(), 20s));
    EXPECT_FALSE(gone);
    co_await t.end();
  }(*this));
}

TEST_F(AgentRegistryLinkTest, UrlThatIsNone_IsSaidAndNothingElse) {
  link_to("registry:8081", 1h);
  run([](AgentRegistryLinkTest& t) -> asio::awaitable<void> {
    t.link_->want();
    const bool gone = co_await t.link_->gone(Deadline::after(steady_now(), 1s));
    EXPECT_TRUE(gone);
    co_await t.end();
  }(*this));
  EXPECT_EQ(logged(LogLevel::error, "the registry's URL is not one"), 1U);
}

TEST_F(AgentRegistryLinkTest, NewToken_IsUsedFromTheNextCallOn) {
  registry_.start();
  link_to(registry_.url(), 1h);
  run([](AgentRegistryLinkTest& t) -> asio::awaitable<void> {
    t.link_->want();
    co_await t.until([&t] { return t.link_->enrolled(); }, "the registration");
    for (const char* token : {"open", ""}) {
      t.link_->set_token(token);
      t.link_->hurry();
      const auto before = t.registry_.calls.size();
      co_await t.until([&t, before] { return t.registry_.calls.size() > before; }, "a heartbeat");
    }
    co_await t.end();
    co_await t.registry_.stop();
  }(*this));
  EXPECT_EQ(registry_.calls[1].authorization, "Bearer open");
  EXPECT_EQ(registry_.calls[2].authorization, "");
}

TEST_F(AgentRegistryLinkTest, Generation_GoesWithEveryLaterCall) {
  registry_.start();
  registry_.generation = 41;
  link_to(registry_.url(), 1h);
  run([](AgentRegistryLinkTest& t) -> asio::awaitable<void> {
    t.link_->want();
    co_await t.until([&t] { return t.link_->enrolled(); }, "the registration");
    t.link_->hurry();
    co_await t.until([&t] { return t.seen(kHeartbeat) == 1; }, "a heartbeat");
    t.link_->want();
    co_await t.until([&t] { return t.seen(kEnroll) == 2; }, "the second registration");
    t.link_->want_gone();
    co_await t.link_->gone(Deadline::after(steady_now(), 10s));
    co_await t.end();
    co_await t.registry_.stop();
  }(*this));
  const auto& calls = registry_.calls;
  ASSERT_EQ(calls.size(), 4U);
  EXPECT_EQ(calls[0].body, R"({"name":"gpu 1","status":"running"})");
  EXPECT_EQ(calls[1].body, R"({"status":"running","generation":42})");
  EXPECT_EQ(calls[2].body, R"({"name":"gpu 1","status":"running","generation":42})");
  EXPECT_EQ(calls[3].what, kWithdraw);
  EXPECT_EQ(calls[3].query, "43");
}

TEST_F(AgentRegistryLinkTest, NameTakenBySomebodyElse_IsSaidOnceAndLeftToThem) {
  registry_.start();
  registry_.generation = 41;
  link_to(registry_.url(), 100ms);
  run([](AgentRegistryLinkTest& t) -> asio::awaitable<void> {
    t.link_->want();
    co_await t.until([&t] { return t.link_->enrolled(); }, "the registration");
    t.registry_.taken = true;
    const auto before = t.seen(kHeartbeat);
    co_await t.until([&t, before] { return t.seen(kHeartbeat) >= before + 4; }, "more heartbeats");
    EXPECT_FALSE(t.link_->enrolled());
    EXPECT_EQ(t.seen(kEnroll), 2U) << "one that asks whose it is";
    t.registry_.taken = false;
    t.registry_.entries.clear();
    co_await t.until([&t] { return t.link_->enrolled(); }, "the registration, once the name is free");
    t.registry_.taken = true;
    t.link_->want_gone();
    const bool gone = co_await t.link_->gone(Deadline::after(steady_now(), 10s));
    EXPECT_TRUE(gone);
    co_await t.end();
    co_await t.registry_.stop();
  }(*this));
  EXPECT_TRUE(registry_.entries.contains("gpu 1")) << "it is theirs";
  EXPECT_EQ(logged(LogLevel::warn, "somebody else has registered the name since"), 2U) << "at each time";
}

}  // namespace
}  // namespace svc::agent
