// The agent's pages over HTTP, for a service whose state the test decides.
#include <gmock/gmock.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "agent/core/instance_machine.hpp"
#include "agent/io/admin_api.hpp"
#include "agent/io/agent_metrics.hpp"
#include "agent/io/log_tail.hpp"
#include "common/core/time_text.hpp"
#include "common/io/bearer_auth.hpp"
#include "tests/support/engine_pages.hpp"
#include "tests/support/temp_folder.hpp"

namespace svc::agent {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using test::RawClient;
using ::testing::HasSubstr;
using ::testing::Not;

class Service : public InstancePages {
 public:
  const ServiceSettings& settings() const override { return settings_; }
  InstanceView view() const override { return now; }
  EngineAccess engine() const override { return {now.host, now.engine_port, key}; }
  void restart() override { ++restarts; }
  void drain() override { ++drains; }

  ServiceSettings settings_;
  InstanceView now;
  std::string key;
  int restarts = 0;
  int drains = 0;
};

struct Reply {
  int status = 0;
  std::string head, body;
  json parsed() const { return json::parse(body); }
};

class AgentAdminApi : public test::HttpFixture {
 public:
  AgentAdminApi()
      : resolver_(io_.get_executor()), client_(io_.get_executor(), resolver_, "test"), engine_(io_.get_executor()) {
    service_.settings_.name = "gpu1";
    service_.settings_.service_type = "InfiniLM";
    service_.settings_.host = "10.0.0.5";
    service_.settings_.port = 5001;
    service_.settings_.metadata_json = R"({"rack":"r1"})";
    auto& now = service_.now;
    now.name = "gpu1";
    now.service_type = "InfiniLM";
    now.host = "127.0.0.1";
    now.port = 5001;
    now.log_file = folder_.path("gpu1.log");
    now.agent_started = wall_now() - 60s;
    enter(InstanceState::starting);
    metrics_.follow(service_);
  }
  ~AgentAdminApi() override {
    if (server_) {
      run(stop_server());
    }
  }

  void enter(InstanceState state) {
    auto& now = service_.now;
    now.state = to_string(state);
    now.status = registry_status(state);
    now.ready = state == InstanceState::running;
    now.processes = state == InstanceState::running || state == InstanceState::starting ||
                    state == InstanceState::unhealthy || state == InstanceState::draining;
    now.engine_port = 5001;
  }
  void open(AdminApiSettings settings = {}) {
    serve(admin_routes(io_.get_executor(), service_, client_, metrics_.all(), reader_, settings));
  }
  void open_engine(const std::string& path, test::EnginePages::Page page) {
    engine_.page("GET", path, std::move(page));
    engine_.start();
    enter(InstanceState::running);
    service_.now.engine_port = engine_.port();
  }

  Reply send(const std::string& method, const std::string& target, const std::string& body = "") {
    Reply reply;
    run([](AgentAdminApi& t, std::string text,
           Reply& out) -> asio::awaitable<void> {
      const std::string answer = co_await t.ask(std::move(text));
      const auto blank = answer.find("\r\n\r\n");
      EXPECT_NE(blank, std::string::npos) << answer;
      out.head = answer.substr(0, blank);
      out.body = answer.substr(std::min(blank + 4, answer.size()));
      out.status = std::stoi(answer.substr(9, 3));
    }(*this,
                       method + " " + target + " HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: " +
                           std::to_string(body.size()) + "\r\n\r\n" + body,
                       reply));
    return reply;
  }
  Reply get(const std::string& target) { return send("GET", target); }

  test::TempFolder folder_;
  Resolver resolver_;
  HttpClient client_;
  test::EnginePages engine_;
  Service service_;
  AgentMetrics metrics_;
  BlockingWorker reader_{io_.get_executor()};
};

TEST_F(AgentAdminApi, Health_EachState_OnlyReadyIs200) {
  open();
  for (const auto state :
       {InstanceState::idle, InstanceState::port_taken, InstanceState::starting, InstanceState::running,
        InstanceState::unhealthy, InstanceState::draining, InstanceState::stopping, InstanceState::backing_off,
        InstanceState::failed, InstanceState::stopped}) {
    enter(state);
    const auto reply = get("/health");
    const bool ready = state == InstanceState::running;
    EXPECT_EQ(reply.status, ready ? 200 : 503) << to_string(state);
    const auto body = reply.parsed();
    EXPECT_EQ(body.at("status"), ready ? "healthy" : registry_status(state));
    EXPECT_EQ(body.at("service"), "gpu1");
    EXPECT_EQ(body.at("babysitter"), "enhanced");
    EXPECT_EQ(body.at("infinilm_server_running"), service_.now.processes);
    EXPECT_EQ(body.at("infinilm_server_port"), service_.now.processes ? json(5001) : json());
    EXPECT_NEAR(body.at("timestamp").get<double>(), epoch_seconds(wall_now()), 60.0);
    EXPECT_EQ(get("/health?compat=1").status, 200);
    EXPECT_EQ(get("/health?compat=1").parsed().at("status"), "healthy");
    EXPECT_EQ(get("/health?compat=0").status, ready ? 200 : 503);
  }
}

TEST_F(AgentAdminApi, CompatHealth_Always200) {
  open({true});
  enter(InstanceState::failed);
  const auto reply = get("/health");
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.parsed().at("status"), "healthy");
  EXPECT_EQ(reply.parsed().at("infinilm_server_running"), false);
}

TEST_F(AgentAdminApi, Models_TheEnginesOwnBytes) {
  const std::string list = "{ \"data\" : [ {\"id\":\"m\", \"extra\": 1.50} ] }";
  open_engine("/models", {200, list, false});
  open();
  EXPECT_EQ(get("/models").body, list);
  EXPECT_EQ(get("/v1/models").body, list);
  EXPECT_EQ(engine_.authorizations.back(), "");
  service_.key = "sesame-0123456789";
  EXPECT_EQ(get("/models").body, list);
  EXPECT_EQ(engine_.authorizations.back(), "Bearer sesame-0123456789");
  for (const char* page : {"/status", "/info", "/health", "/metrics"}) {
    EXPECT_THAT(get(page).body, Not(HasSubstr("sesame"))) << page;
  }
}

TEST_F(AgentAdminApi, Models_NotReadyOrNoAnswer_503AsTheEarlierAgents) {
  open_engine("/health", {200, "", false});
  open();
  auto reply = get("/models");
  EXPECT_EQ(reply.status, 503);
  EXPECT_EQ(reply.body, R"({"error":"Service unavailable"})");
  enter(InstanceState::starting);
  reply = get("/models");
  EXPECT_EQ(reply.status, 503);
  EXPECT_EQ(reply.body, R"({"error":"InfiniLM server not ready"})");
}

TEST_F(AgentAdminApi, Info_FieldsOfBothEarlierAgents) {
  open();
  service_.now.restarts = 3;
  const auto body = get("/info").parsed();
  EXPECT_EQ(body.at("name"), "gpu1");
  EXPECT_EQ(body.at("host"), "10.0.0.5");
  EXPECT_EQ(body.at("port"), 5002);
  EXPECT_EQ(body.at("url"), "http://10.0.0.5:5002");
  EXPECT_EQ(body.at("infinilm_server_port"), 5001);
  EXPECT_EQ(body.at("service_type"), "InfiniLM");
  EXPECT_EQ(body.at("restart_count"), 3);
  EXPECT_NEAR(body.at("uptime").get<double>(), 60.0, 30.0);
  EXPECT_EQ(body.at("metadata").at("rack"), "r1");
  EXPECT_EQ(body.at("metadata").at("type"), "InfiniLM");
  service_.settings_.host = "[::1]";
  EXPECT_EQ(get("/info").parsed().at("url"), "http://[::1]:5002");
  service_.settings_.pages_tls = true;
  EXPECT_EQ(get("/info").parsed().at("url"), "https://[::1]:5002");
}

TEST_F(AgentAdminApi, Status_EverythingOfTheView) {
  open();
  enter(InstanceState::running);
  auto& now = service_.now;
  now.pids = {100, 101};
  now.shim = 99;
  now.up_for = 90s;
  now.ready_for = 30s;
  now.last_line = "bad \xff byte";
  now.models.ids = {"m"};
  now.load.rss_bytes = 123;
  now.registered = true;
  now.probe_failures = 2;
  now.exit_counts["signal"] = 4;
  ExitOutcome exit;
  exit.kind = ExitKind::signalled;
  exit.value = 9;
  exit.last_lines = {"the end"};
  now.exits.emplace_back(wall_now(), exit);
  const auto reply = get("/status");
  const auto body = reply.parsed();
  EXPECT_THAT(reply.body, Not(HasSubstr(": "))) << "compact";
  EXPECT_EQ(body.at("state"), "running");
  EXPECT_EQ(body.at("pages_port"), 5002);
  EXPECT_EQ(body.at("pids"), json({100, 101}));
  EXPECT_EQ(body.at("shim_pid"), 99);
  EXPECT_EQ(body.at("up_seconds"), 90.0);
  EXPECT_EQ(body.at("ready_seconds"), 30.0);
  EXPECT_EQ(body.at("load").at("rss_bytes"), 123);
  EXPECT_EQ(body.at("load").at("gpu_memory_bytes"), nullptr);
  EXPECT_EQ(body.at("registered"), json({{"agent", true}, {"engine", false}}));
  EXPECT_EQ(body.at("exit_counts").at("signal"), 4);
  EXPECT_EQ(body.at("exits").at(0).at("kind"), "signal");
  EXPECT_EQ(body.at("exits").at(0).at("text"), "signal 9 (SIGKILL)");
  EXPECT_EQ(body.at("exits").at(0).at("last_lines"), json({"the end"}));
  now = {};
  EXPECT_EQ(get("/status").parsed().at("up_seconds"), nullptr) << "an empty view is fine too";
}

TEST_F(AgentAdminApi, Logs_LastLinesAsText) {
  open();
  std::string text;
  for (int i = 0; i < 150; ++i) {
    text += "line " + std::to_string(i) + "\n";
  }
  folder_.write("gpu1.log", text);
  const auto usual = get("/logs");
  EXPECT_EQ(usual.status, 200);
  EXPECT_THAT(usual.head, HasSubstr("Content-Type: text/plain; charset=utf-8"));
  EXPECT_EQ(usual.body, text.substr(text.find("line 50\n")));
  EXPECT_EQ(get("/logs?lines=2").body, "line 148\nline 149\n");
  EXPECT_EQ(get("/logs?lines=10000").body, text);
  EXPECT_EQ(get("/logs?lines=0").body, "");
  for (const char* bad : {"-1", "10001", "2x", "", "99999999999999999999"}) {
    EXPECT_EQ(get(std::string("/logs?lines=") + bad).status, 400) << bad;
  }
}

TEST_F(AgentAdminApi, LogsFollow_LastLinesThenWhatIsAddedUntilTheClientLeaves) {
  open();
  folder_.write("gpu1.log", "one\ntwo\n");
  run([](AgentAdminApi& t) -> asio::awaitable<void> {
    RawClient client(t.io_.get_executor(), t.server_->port());
    co_await client.connect();
    co_await client.send("GET /logs?follow=1&lines=1 HTTP/1.1\r\nHost: h\r\n\r\n");
    const auto begin = co_await client.read_until("two\n");
    EXPECT_THAT(begin, HasSubstr("Transfer-Encoding: chunked"));
    EXPECT_THAT(begin, Not(HasSubstr("one")));
    std::ofstream(t.folder_.path("gpu1.log"), std::ios::app) << "three\n";
    const auto added = co_await client.read_until("three\n");
    EXPECT_THAT(added, HasSubstr("three\n"));
    client.stream().close();
    Timer again(t.io_.get_executor());
    for (int i = 0; i < 1000 && t.server_->connections() != 0; ++i) {
      again.expires_after(5ms);
      co_await again.async_wait(kTok);
    }
    EXPECT_EQ(t.server_->connections(), 0U);
  }(*this));
}

TEST_F(AgentAdminApi, LogsFollow_MoreThanSixteen_503AndRoomAgainAfterwards) {
  open();
  folder_.write("gpu1.log", "one\n");
  run([](AgentAdminApi& t) -> asio::awaitable<void> {
    std::vector<std::unique_ptr<RawClient>> clients;
    for (int i = 0; i < 16; ++i) {
      clients.push_back(std::make_unique<RawClient>(t.io_.get_executor(), t.server_->port()));
      co_await clients.back()->connect();
      co_await clients.back()->send("GET /logs?follow=1 HTTP/1.1\r\nHost: h\r\n\r\n");
      const auto begin = co_await clients.back()->read_until("one\n");
      EXPECT_TRUE(begin.starts_with("HTTP/1.1 200 ")) << begin;
    }
    const std::string ask = "GET /logs?follow=1 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
    const auto refused = co_await t.ask(ask);
    EXPECT_TRUE(refused.starts_with("HTTP/1.1 503 ")) << refused;
    clients.clear();
    Timer again(t.io_.get_executor());
    for (int i = 0; i < 1000 && t.server_->connections() != 0; ++i) {
      again.expires_after(5ms);
      co_await again.async_wait(kTok);
    }
    RawClient next(t.io_.get_executor(), t.server_->port());
    co_await next.connect();
    co_await next.send(ask);
    const auto served = co_await next.read_until("one\n");
    EXPECT_TRUE(served.starts_with("HTTP/1.1 200 ")) << served;
  }(*this));
}

TEST_F(AgentAdminApi, LogsFollow_Drain_EndsInOrder) {
  open();
  folder_.write("gpu1.log", "one\n");
  run([](AgentAdminApi& t) -> asio::awaitable<void> {
    RawClient client(t.io_.get_executor(), t.server_->port());
    co_await client.connect();
    co_await client.send("GET /logs?follow=1 HTTP/1.1\r\nHost: h\r\n\r\n");
    co_await client.read_until("one\n\r\n");
    co_await t.stop_server();
    const auto rest = co_await client.read_all();
    EXPECT_EQ(rest, "0\r\n\r\n");
  }(*this));
  server_.reset();
}

TEST_F(AgentAdminApi, Metrics_FollowTheView) {
  open();
  enter(InstanceState::running);
  auto& now = service_.now;
  now.restarts = 2;
  now.up_for = 90s;
  now.ready_for = 30s;
  now.exit_counts["hang"] = 1;
  now.load.rss_bytes = 4096;
  now.load.open_connections = 7;
  now.registered = true;
  now.log_lines_lost = 5;
  const auto first = get("/metrics");
  EXPECT_THAT(first.head, HasSubstr("Content-Type: text/plain; version=0.0.4"));
  const auto has = [](const std::string& text, const std::string& series) {
    return ("\n" + text).find("\n" + series + "\n") != std::string::npos;
  };
  for (const char* series :
       {R"(infinilm_agent_state{service="gpu1",state="running"} 1)",
        R"(infinilm_agent_state{service="gpu1",state="failed"} 0)", R"(infinilm_agent_ready{service="gpu1"} 1)",
        R"(infinilm_agent_restarts_total{service="gpu1"} 2)",
        R"(infinilm_agent_exits_total{reason="hang",service="gpu1"} 1)",
        R"(infinilm_agent_exits_total{reason="out_of_memory",service="gpu1"} 0)",
        R"(infinilm_agent_start_seconds{service="gpu1"} 60)",
        R"(infinilm_agent_engine_uptime_seconds{service="gpu1"} 90)",
        R"(infinilm_agent_engine_resident_bytes{service="gpu1"} 4096)",
        R"(infinilm_agent_engine_open_connections{service="gpu1"} 7)",
        R"(infinilm_agent_registered{entry="agent",service="gpu1"} 1)",
        R"(infinilm_agent_registered{entry="engine",service="gpu1"} 0)",
        R"(infinilm_agent_log_lines_lost_total{service="gpu1"} 5)"}) {
    EXPECT_TRUE(has(first.body, series)) << series << "\n" << first.body;
  }
  EXPECT_THAT(first.body, Not(HasSubstr("gpu_memory_bytes"))) << "not known: no series";
  enter(InstanceState::failed);
  now.restarts = 3;
  now.ready_for = {};
  now.load = {};
  const auto second = get("/metrics").body;
  EXPECT_TRUE(has(second, R"(infinilm_agent_state{service="gpu1",state="running"} 0)"));
  EXPECT_TRUE(has(second, R"(infinilm_agent_state{service="gpu1",state="failed"} 1)"));
  EXPECT_TRUE(has(second, R"(infinilm_agent_restarts_total{service="gpu1"} 3)"));
  EXPECT_TRUE(has(second, R"(infinilm_agent_start_seconds{service="gpu1"} 60)")) << "of the last start";
  EXPECT_TRUE(has(second, R"(infinilm_agent_engine_resident_bytes{service="gpu1"} Nan)")) << second;
}

TEST_F(AgentAdminApi, S12_PostsAreWordsAndTheirBodiesNothing) {
  open();
  EXPECT_EQ(send("POST", "/restart").status, 202);
  EXPECT_EQ(send("POST", "/drain").body, R"({"message":"Drain requested"})");
  const auto before = service_.settings_.command;
  const auto reply =
      send("POST", "/restart?command=/bin/sh&path=/tmp", R"({"command":"/bin/sh","log_file":"/etc/shadow"})");
  EXPECT_EQ(reply.status, 202);
  EXPECT_EQ(reply.body, R"({"message":"Restart requested"})");
  EXPECT_EQ(service_.settings_.command, before);
  EXPECT_EQ(send("POST", "/restart", std::string(1024, 'x')).status, 202);
  EXPECT_EQ(send("POST", "/restart", std::string(1025, 'x')).status, 413);
  EXPECT_EQ(service_.restarts, 3);
  EXPECT_EQ(service_.drains, 1);
  folder_.write("gpu1.log", "mine\n");
  folder_.write("other.log", "not mine\n");
  EXPECT_EQ(get("/logs?file=" + folder_.path("other.log") + "&path=../other.log").body, "mine\n");
  EXPECT_EQ(get("/logs/../other.log").status, 404);
}

TEST_F(AgentAdminApi, WrongMethodsAndPaths_405And404) {
  open();
  auto reply = get("/restart");
  EXPECT_EQ(reply.status, 405);
  EXPECT_THAT(reply.head, HasSubstr("Allow: POST"));
  reply = send("POST", "/health");
  EXPECT_EQ(reply.status, 405);
  EXPECT_THAT(reply.head, HasSubstr("Allow: GET, HEAD"));
  EXPECT_EQ(get("/nothing").status, 404);
  EXPECT_EQ(get("/nothing").body, R"({"error":"Not found"})");
  EXPECT_EQ(service_.restarts, 0);
}

TEST_F(AgentAdminApi, Access_ReadsNeedReadWritesNeedWriteHealthIsOpen) {
  const auto routes = admin_routes(io_.get_executor(), service_, client_, metrics_.all(), reader_, {});
  BearerAuth auth;
  ASSERT_TRUE(auth.load(folder_.write("tokens", "reading-token-0123456789 read\nwriting-token-0123456789 write\n"))
                  .has_value());
  const auto status = [&](const auto& route, const std::string& value) {
    const std::vector<FieldView> fields{{"Authorization", value}};
    HttpRequest request;
    request.fields = std::span(fields).first(value.empty() ? 0 : 1);
    const auto refused = auth.refusal(route.handler.access, request);
    return refused ? refused->status : 0;
  };
  EXPECT_EQ(routes.routes().size(), 9U);
  for (const auto& route : routes.routes()) {
    const bool open = route.pattern == "/health";
    const bool writes = route.method == "POST";
    EXPECT_EQ(status(route, ""), open ? 0 : 401) << route.pattern;
    EXPECT_EQ(status(route, "Bearer reading-token-0123456789"), writes ? 403 : 0) << route.pattern;
    EXPECT_EQ(status(route, "Bearer writing-token-0123456789"), 0) << route.pattern;
  }
}

}  // namespace
}  // namespace svc::agent
