// What the agent asks an engine: its models, its health, a token.
#include <gmock/gmock.h>

#include "agent/io/engine_probe.hpp"
#include "tests/support/engine_pages.hpp"

namespace svc::agent {
namespace {

using namespace std::chrono_literals;
using test::EnginePages;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr const char* kList = R"({"object":"list","data":[{"id":"m","object":"model"}]})";

class AgentEngineProbe : public test::HttpFixture {
 public:
  AgentEngineProbe()
      : resolver_(io_.get_executor()), client_(io_.get_executor(), resolver_, "test"), engine_(io_.get_executor()) {}
  ~AgentEngineProbe() override {
    engine_.stop();
    io_.restart();
    io_.poll();
  }

  EngineAccess access(const std::string& host = "localhost") const { return {host, engine_.port(), key_}; }

  template <class T>
  T result_of(asio::awaitable<T> question) {
    std::optional<T> answer;
    run([](asio::awaitable<T> asked, std::optional<T>& out) -> asio::awaitable<void> {
      out.emplace(co_await std::move(asked));
    }(std::move(question), answer));
    return *std::move(answer);
  }
  Result<ModelList> models(Duration timeout = 5s) { return result_of(probe_models(client_, access(), timeout)); }
  EngineProbe health(const std::string& path = "/health", Duration timeout = 5s) {
    return result_of(probe_health(client_, access(), path, timeout));
  }
  EngineProbe completion(Duration timeout = 5s) {
    return result_of(probe_completion(client_, access(), "a \"model\"", timeout));
  }

  Resolver resolver_;
  HttpClient client_;
  EnginePages engine_;
  std::string key_;
};

TEST(AgentEngineHosts, LoopbackFirstThenTheConfiguredHost) {
  EXPECT_THAT(engine_hosts("localhost"), ElementsAre("127.0.0.1", "localhost"));
  EXPECT_THAT(engine_hosts("10.1.2.3"), ElementsAre("127.0.0.1", "10.1.2.3"));
  EXPECT_THAT(engine_hosts("127.0.0.1"), ElementsAre("127.0.0.1"));
  EXPECT_THAT(engine_hosts("0.0.0.0"), ElementsAre("127.0.0.1"));
  EXPECT_THAT(engine_hosts(""), ElementsAre("127.0.0.1"));
  EXPECT_THAT(engine_hosts("[::]"), ElementsAre("127.0.0.1", "::1"));
  EXPECT_THAT(engine_hosts("[fd00::1]"), ElementsAre("127.0.0.1", "fd00::1"));
}

TEST_F(AgentEngineProbe, Models_EachWayThatEnginesServeThem_Found) {
  struct Case {
    std::vector<std::pair<std::string, EnginePages::Page>> pages;
    std::size_t questions;
  };
  const std::vector<Case> cases{
      {{{"/v1/models", {200, kList, false}}, {"/models", {200, kList, false}}}, 1},
      {{{"/v1/models", {200, R"(["m"])", false}}}, 1},
      {{{"/models", {200, kList, false}}}, 1},
      {{{"/v1/models", {200, "<html>", false}}, {"/models", {200, kList, false}}}, 2},
      {{{"/v1/models", {200, R"({"data":[]})", false}}, {"/models", {200, kList, false}}}, 2},
      {{{"/v1/models", {500, kList, false}}, {"/models", {200, kList, false}}}, 2},
  };
  for (const auto& [pages, questions] : cases) {
    EnginePages engine(io_.get_executor());
    for (const auto& [path, page] : pages) {
      engine.page("GET", path, page);
    }
    engine.start();
    const auto list = result_of(probe_models(client_, EngineAccess{"localhost", engine.port(), ""}, 5s));
    ASSERT_TRUE(list.has_value()) << list.error().to_string();
    EXPECT_THAT(list->ids, ElementsAre("m"));
    EXPECT_EQ(engine.asked.size(), questions);
    engine.stop();
    io_.restart();
    io_.poll();
  }
  engine_.start();
}

TEST_F(AgentEngineProbe, Models_LoadingOrStrangeEngine_ErrorThatSaysWhy) {
  engine_.page("GET", "/v1/models", {503, "", false});
  engine_.page("GET", "/models", {200, R"({"data":[]})", false});
  engine_.start();
  const auto list = models();
  ASSERT_FALSE(list.has_value());
  EXPECT_EQ(list.error().code, Errc::unavailable);
  EXPECT_THAT(list.error().to_string(), HasSubstr("/v1/models: status 503, /models: no model in it"));
}

TEST_F(AgentEngineProbe, Models_NobodyThereOrSilent_ErrorInTime) {
  engine_.page("GET", "/v1/models", {200, kList, true});
  engine_.start();
  const TimePoint begun = steady_now();
  const auto silent = models(300ms);
  ASSERT_FALSE(silent.has_value());
  EXPECT_EQ(silent.error().code, Errc::timed_out);
  EXPECT_LT(steady_now() - begun, 3s);
  const auto port = engine_.port();
  engine_.stop();
  io_.restart();
  io_.poll();
  const auto nobody = result_of(probe_models(client_, EngineAccess{"localhost", port, ""}, 5s));
  ASSERT_FALSE(nobody.has_value());
  EXPECT_EQ(nobody.error().code, Errc::connect_failed);
}

TEST_F(AgentEngineProbe, Models_EngineOnItsHostAlone_AskedThere) {
  engine_.page("GET", "/v1/models", {200, kList, false});
  engine_.start("127.0.0.2");
  const auto list = result_of(probe_models(client_, EngineAccess{"127.0.0.2", engine_.port(), ""}, 5s));
  ASSERT_TRUE(list.has_value()) << list.error().to_string();
  EXPECT_FALSE(models().has_value()) << "not on the loopback address";
}

TEST_F(AgentEngineProbe, Models_HostThatHasNoAddress_SaysThatNothingListens) {
  engine_.start();
  engine_.stop();
  io_.restart();
  io_.poll();
  Resolver none(io_.get_executor(), {}, [](const std::string&, auto done) { done(asio::error::host_not_found, {}); });
  HttpClient client(io_.get_executor(), none, "test");
  const auto list = result_of(probe_models(client, EngineAccess{"no-such-host", engine_.port(), ""}, 5s));
  ASSERT_FALSE(list.has_value());
  EXPECT_EQ(list.error().code, Errc::connect_failed);
}

TEST_F(AgentEngineProbe, Models_EngineThatAsksForAKey_AnErrorOfItsOwn) {
  for (const int status : {401, 403}) {
    EnginePages engine(io_.get_executor());
    engine.page("GET", "/v1/models", {status, R"({"error":"Unauthorized"})", false});
    engine.start();
    const auto list = result_of(probe_models(client_, EngineAccess{"localhost", engine.port(), ""}, 5s));
    ASSERT_FALSE(list.has_value());
    EXPECT_EQ(list.error().code, Errc::unauthorized);
    EXPECT_THAT(list.error().cause, HasSubstr("/v1/models: status " + std::to_string(status)));
    engine.stop();
    io_.restart();
    io_.poll();
  }
  engine_.page("GET", "/v1/models", {401, "", false});
  engine_.page("GET", "/models", {200, kList, false});
  engine_.start();
  EXPECT_TRUE(models().has_value()) << "one of the two is enough";
}

TEST_F(AgentEngineProbe, Key_IsShownWithEveryQuestionAndOnlyWhenThereIsOne) {
  engine_.page("GET", "/v1/models", {404, "", false});
  engine_.page("GET", "/models", {200, kList, false});
  engine_.page("GET", "/health", {200, "", false});
  engine_.page("POST", "/v1/chat/completions", {200, "{}", false});
  engine_.start();
  for (const char* key : {"", "sesame-0123456789"}) {
    key_ = key;
    engine_.authorizations.clear();
    EXPECT_TRUE(models().has_value());
    EXPECT_TRUE(health().alive);
    EXPECT_TRUE(completion().alive);
    EXPECT_THAT(engine_.authorizations, Each(key_.empty() ? "" : "Bearer " + key_));
    EXPECT_EQ(engine_.authorizations.size(), 4U);
  }
}

TEST_F(AgentEngineProbe, Health_EachStatus_AliveUnlessAServerError) {
  const std::vector<std::pair<int, bool>> cases{{200, true},  {204, true},  {404, true},  {405, true},
                                                {401, true},  {429, true},  {501, true},  {500, false},
                                                {502, false}, {503, false}, {504, false}, {599, false}};
  for (const auto& [status, alive] : cases) {
    engine_.page("GET", "/health" + std::to_string(status), {status, "{}", false});
  }
  engine_.start();
  for (const auto& [status, alive] : cases) {
    const auto probe = health("/health" + std::to_string(status) + "?deep=1");
    EXPECT_EQ(probe.alive, alive) << status;
    EXPECT_EQ(probe.reason, alive ? "" : "status " + std::to_string(status));
  }
}

TEST_F(AgentEngineProbe, Health_SilenceAndRefusal_DeadWithTheReason) {
  engine_.page("GET", "/health", {200, "", true});
  engine_.start();
  const auto silent = health("/health", 300ms);
  EXPECT_FALSE(silent.alive);
  EXPECT_THAT(silent.reason, HasSubstr("did not answer in time"));
  const auto port = engine_.port();
  engine_.stop();
  io_.restart();
  io_.poll();
  const auto refused = result_of(probe_health(client_, EngineAccess{"127.0.0.1", port, ""}, "/health", 5s));
  EXPECT_FALSE(refused.alive);
  EXPECT_THAT(refused.reason, HasSubstr("nothing listens on 127.0.0.1:"));
}

TEST_F(AgentEngineProbe, Requests_OutOfTheMetricsPage) {
  engine_.page("GET", "/metrics", {200, "vllm:num_requests_running{m=\"a\"} 2\nvllm:num_requests_waiting 7\n", false});
  engine_.start();
  const auto requests = result_of(probe_requests(client_, access(), 5s));
  ASSERT_TRUE(requests.has_value());
  EXPECT_EQ(requests->running, 2U);
  EXPECT_EQ(requests->waiting, 7U);
}

TEST_F(AgentEngineProbe, Requests_NoSuchPageOrAnotherOne_NotFound) {
  engine_.start();
  EXPECT_EQ(result_of(probe_requests(client_, access(), 5s)).error().code, Errc::not_found);
  for (const auto& page : {EnginePages::Page{200, "process_cpu_seconds_total 3\n", false},
                           EnginePages::Page{503, "vllm:num_requests_running 2\n", false}}) {
    EnginePages other(io_.get_executor());
    other.page("GET", "/metrics", page);
    other.start();
    const auto requests = result_of(probe_requests(client_, EngineAccess{"localhost", other.port(), ""}, 5s));
    EXPECT_EQ(requests.error().code, Errc::not_found) << page.status;
    other.stop();
    io_.restart();
    io_.poll();
  }
}

TEST_F(AgentEngineProbe, Completion_OneTokenAskedForAndAnswered_Alive) {
  engine_.page("POST", "/v1/chat/completions", {200, R"({"choices":[]})", false});
  engine_.start();
  EXPECT_TRUE(completion().alive);
  EXPECT_THAT(engine_.asked, ElementsAre("POST /v1/chat/completions"));
  EXPECT_EQ(engine_.bodies.at(0),
            R"({"model":"a \"model\"","messages":[{"role":"user","content":"ping"}],"max_tokens":1,"stream":false})");
}

TEST_F(AgentEngineProbe, Completion_OnlyTheOldPath_AskedThere) {
  engine_.page("POST", "/chat/completions", {500, "", false});
  engine_.start();
  const auto probe = completion();
  EXPECT_FALSE(probe.alive) << "the old path's answer is the one that counts";
  EXPECT_EQ(probe.reason, "status 500");
  EXPECT_THAT(engine_.asked, ElementsAre("POST /chat/completions"));
}

TEST_F(AgentEngineProbe, Completion_RefusedIsAliveSilentIsDead) {
  engine_.page("POST", "/v1/chat/completions", {400, "", false});
  engine_.start();
  EXPECT_TRUE(completion().alive);
  EnginePages hung(io_.get_executor());
  hung.page("POST", "/v1/chat/completions", {200, "", true});
  hung.start();
  const auto probe = result_of(probe_completion(client_, EngineAccess{"localhost", hung.port(), ""}, "m", 300ms));
  EXPECT_FALSE(probe.alive);
  EXPECT_THAT(probe.reason, HasSubstr("did not answer in time"));
  hung.stop();
  io_.restart();
  io_.poll();
}

}  // namespace
}  // namespace svc::agent
