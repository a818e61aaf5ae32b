// The router's own pages: the shapes that existing clients read, and what is new behind them.
#include <nlohmann/json.hpp>

#include "common/io/metrics.hpp"
#include "tests/support/control_fixture.hpp"

namespace svc::router {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;

class RouterOwnPagesTest : public test::ControlFixture {
 public:
  /// One instance that is up and one that is down.
  void start_two() {
    add("a", engine().port(), {"m", "org/big"}).metadata_json =
        R"({"type":"openai-api","models_list":[{"id":"m","object":"model","max_model_len":4096}]})";
    auto& gone = engine();
    add("b", gone.port(), {"m", "only-b"});
    gone.die();
    settings_.balancing.model_aliases = {{"gpt", "m"}};
    start();
    ASSERT_TRUE(run_until([&] { return is("a", ProbeVerdict::up) && is("b", ProbeVerdict::down); }));
  }
  json get_json(const std::string& path, const std::string& query = "", int status = 200) {
    const auto answer = get(path, query);
    EXPECT_EQ(answer.status, status) << path;
    EXPECT_EQ(answer.content_type, "application/json");
    EXPECT_EQ(answer.body.find("\": "), std::string::npos) << "compact: existing scripts grep it";
    return json::parse(answer.body);
  }
};

TEST_F(RouterOwnPagesTest, Health_OriginalShapeFirst) {
  start_two();
  for (const char* path : {"/health", "/status"}) {
    const auto answer = get(path);
    const auto health = json::parse(answer.body);
    EXPECT_EQ(answer.status, 200);
    EXPECT_TRUE(answer.body.starts_with(R"({"status":"healthy","router":"running","healthy_services":"1/2",)"
                                        R"("registry_url":null,"message":null,"timestamp":")"))
        << answer.body;
    EXPECT_EQ(health.at("registry_state"), "none");
    EXPECT_EQ(health.at("view_age_seconds"), nullptr);
    EXPECT_EQ(health.at("draining"), false);
  }
}

TEST_F(RouterOwnPagesTest, Health_NothingUsable_StillServes) {
  auto& gone = engine();
  add("b", gone.port());
  gone.die();
  start();
  ASSERT_TRUE(run_until([&] { return is("b", ProbeVerdict::down); }));
  const auto health = get_json("/health");
  EXPECT_EQ(health.at("status"), "running");
  EXPECT_EQ(health.at("healthy_services"), "0/1");
  EXPECT_EQ(health.at("message"), "No healthy services available");
}

TEST_F(RouterOwnPagesTest, Draining_503) {
  start_two();
  EXPECT_EQ(get_json("/ready").at("ready"), true);
  EXPECT_FALSE(control_->draining());
  control_->begin_drain();
  EXPECT_TRUE(control_->draining());
  EXPECT_EQ(get_json("/health", "", 503).at("status"), "draining");
  EXPECT_EQ(get_json("/ready", "", 503).at("reason"), "draining");
}

TEST_F(RouterOwnPagesTest, Ready_503WhileNothingIsKnown) {
  settings_.registry_url = "http://127.0.0.1:1/services";
  start();
  EXPECT_EQ(get_json("/ready", "", 503).at("reason"), "view_not_ready");
  ASSERT_TRUE(run_until([&] { return get_json("/health").at("registry_state") == "unreachable"; }));
  const auto health = get_json("/health");
  EXPECT_EQ(health.at("registry_url"), "http://127.0.0.1:1/services");
  EXPECT_EQ(health.at("healthy_services"), "0/0");
}

TEST_F(RouterOwnPagesTest, Services_EveryFieldOfTheOriginal) {
  start_two();
  const auto page = get_json("/services");
  EXPECT_EQ(page.at("total"), 2);
  EXPECT_EQ(page.at("registry_url"), nullptr);
  const auto& a = page.at("services").at(0);
  for (const char* key : {"name", "host", "port", "url", "babysitter_url", "healthy", "request_count", "error_count",
                          "response_time", "weight", "models", "metadata"}) {
    EXPECT_TRUE(a.contains(key)) << key;
  }
  EXPECT_EQ(a.at("babysitter_url"), "http://127.0.0.1:" + std::to_string(engines_[0]->port() + 1));
  EXPECT_EQ(a.at("healthy"), true);
  EXPECT_EQ(a.at("metadata").at("type"), "openai-api");
  EXPECT_EQ(page.at("services").at(1).at("healthy"), false);
  EXPECT_EQ(page.at("services").at(1).at("state"), "down");
}

TEST_F(RouterOwnPagesTest, Stats_NumbersOfRequests) {
  start_two();
  auto& series = live("a").series[0].of("m");
  series.requests.add(4);
  series.retries.add(2);
  series.queue_time.observe(700ms);
  live("b").series[0].of("m").requests.add(3);
  live("b").series[0].of("other").answers[5].add();
  series.answers[2].add(3);
  series.failures[static_cast<std::size_t>(FailureReason::upstream_reset)].add();
  series.failures[static_cast<std::size_t>(FailureReason::client_gone)].add();
  for (int i = 0; i < 3; ++i) series.first_byte.observe(3ms);
  series.between_chunks.observe(20ms);
  series.whole.observe(100ms);
  series.completion_tokens.add(11);
  thread_stats_.queue_time.observe(2s);
  thread_stats_.requests.add(5);
  thread_stats_.refusals[static_cast<std::size_t>(FailureReason::queue_full)].add(2);
  live("a").in_flight = 1;

  const auto page = get_json("/stats");
  EXPECT_EQ(page.at("total_services"), 2);
  EXPECT_EQ(page.at("healthy_services"), 1);
  EXPECT_EQ(page.at("totals").at("requests"), 5);
  EXPECT_EQ(page.at("totals").at("refusals"), (json{{"queue_full", 2}}));
  EXPECT_EQ(page.at("queues").at("waiting"), 0);
  const auto& a = page.at("services").at(0);
  EXPECT_EQ(a.at("request_count"), 4);
  EXPECT_EQ(a.at("error_count"), 1) << "a client that leaves is nobody's error";
  EXPECT_EQ(a.at("failures"), (json{{"client_gone", 1}, {"upstream_reset", 1}}));
  EXPECT_EQ(a.at("answers"), (json{{"2xx", 3}}));
  EXPECT_EQ(a.at("state"), "up");
  EXPECT_EQ(a.at("in_flight"), 1);
  EXPECT_EQ(a.at("completion_tokens"), 11);
  EXPECT_EQ(a.at("response_time"), 0.1);
  EXPECT_GT(a.at("ttft_seconds").at("p50"), 0.001);
  EXPECT_LE(a.at("ttft_seconds").at("p95"), 0.004);
  EXPECT_NEAR(a.at("itl_seconds").at("p50"), 0.02, 0.02);
  EXPECT_GT(a.at("itl_seconds").at("p50"), 0.005);
  EXPECT_GT(page.at("queues").at("queue_seconds").at("p95"), 1);
  EXPECT_TRUE(a.at("last_check").is_string());
  EXPECT_EQ(a.at("retries"), 2);
  EXPECT_NEAR(a.at("queue_seconds").at("p50"), 0.7, 0.33);
  EXPECT_EQ(a.at("by_model").size(), 1U);
  EXPECT_EQ(a.at("by_model").at("m").at("completion_tokens"), 11);
  EXPECT_EQ(page.at("by_model").at("m").at("request_count"), 7) << "of all instances";
  EXPECT_EQ(page.at("by_model").at("m").at("error_count"), 1);
  EXPECT_EQ(page.at("by_model").at("other").at("answers"), (json{{"5xx", 1}}));
  live("a").in_flight = 0;
}

TEST_F(RouterOwnPagesTest, Models_OfUsableInstancesOnly_OneObject) {
  start_two();
  for (const char* path : {"/models", "/v1/models"}) {
    const auto page = get_json(path);
    EXPECT_EQ(page.at("object"), "list");
    std::vector<std::string> ids;
    for (const auto& model : page.at("data")) ids.push_back(model.at("id"));
    EXPECT_EQ(ids, (std::vector<std::string>{"gpt", "m", "org/big"})) << path;
    EXPECT_EQ(page.at("data").at(1), (json{{"id", "m"}, {"object", "model"}, {"max_model_len", 4096}}));
  }
}

TEST_F(RouterOwnPagesTest, OneModel_AlsoWithSlashes) {
  start_two();
  EXPECT_EQ(get_json("/v1/models/m").at("max_model_len"), 4096);
  EXPECT_EQ(get_json("/v1/models/org/big").at("id"), "org/big");
  EXPECT_EQ(get_json("/v1/models/org%2Fbig").at("id"), "org/big");
  const auto error = get_json("/v1/models/nope", "", 404).at("error");
  EXPECT_EQ(error.at("code"), "model_not_found");
  EXPECT_EQ(error.at("param"), "model");
}

TEST_F(RouterOwnPagesTest, OtherMethods_405WithAllow_Options204) {
  start_two();
  for (const char* path : {"/health", "/metrics", "/services", "/v1/models", "/v1/models/m", "/explain"}) {
    for (const char* method : {"POST", "DELETE", "PUT"}) {
      const auto answer = get(path, "", method);
      EXPECT_EQ(answer.status, 405) << path;
      EXPECT_EQ(answer.extra_fields, "Allow: GET, HEAD, OPTIONS\r\n");
      const auto error = json::parse(answer.body).at("error");
      EXPECT_EQ(error.is_object(), std::string(path).starts_with("/v1/")) << path;
    }
    EXPECT_EQ(get(path, "", "OPTIONS").status, 204);
    EXPECT_EQ(get(path, "", "HEAD").status, 200);
  }
}

TEST_F(RouterOwnPagesTest, Explain_SaysWhichAndWhy) {
  start_two();
  auto page = get_json("/explain", "model=gpt");
  EXPECT_EQ(page.at("upstream"), "a");
  EXPECT_EQ(page.at("served_as"), "m");
  EXPECT_EQ(page.at("method"), "round_robin");
  EXPECT_EQ(page.at("client"), "10.0.0.1");
  EXPECT_EQ(page.at("candidates").size(), 2U);
  EXPECT_EQ(page.at("candidates").at(1).at("state"), "down");
  page = get_json("/explain", "model=nope");
  EXPECT_EQ(page.at("upstream"), nullptr);
  EXPECT_EQ(page.at("reason"), "no instance serves the model");
  page = get_json("/explain", "model=only-b");
  EXPECT_EQ(page.at("upstream"), nullptr);
  EXPECT_EQ(get("/explain", "text_bytes=x").status, 400);
}

TEST_F(RouterOwnPagesTest, Metrics_FamiliesWithLabels) {
  start_two();
  auto& series = live("a").series[0].of("odd\"model\n");
  series.requests.add(2);
  series.answers[2].add(2);
  series.first_byte.observe(3ms);
  const auto answer = get("/metrics");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.content_type, kMetricsContentType);
  for (const char* line : {
           "# TYPE infinilm_router_ttft_seconds histogram\n",
           R"(infinilm_router_upstream_requests_total{model="odd\"model\n",upstream="a"} 2)",
           R"(infinilm_router_upstream_answers_total{model="odd\"model\n",upstream="a",class="2xx"} 2)",
           R"(infinilm_router_ttft_seconds_bucket{model="odd\"model\n",upstream="a",le="0.004"} 1)",
           R"(infinilm_router_ttft_seconds_bucket{model="odd\"model\n",upstream="a",le="+Inf"} 1)",
           R"(infinilm_router_upstream_up{upstream="a"} 1)",
           R"(infinilm_router_upstream_up{upstream="b"} 0)",
           R"(infinilm_router_upstream_state{upstream="b",state="down"} 1)",
           R"(infinilm_router_refusals_total{reason="queue_full"} 0)",
           "infinilm_router_queue_length 0\n",
           "process_open_fds ",
       }) {
    EXPECT_NE(answer.body.find(line), std::string::npos) << line << "\n" << answer.body;
  }
}

TEST(RouterOwnPaths, WhichTheyAre) {
  for (const char* path : {"/health", "/status", "/ready", "/services", "/stats", "/models", "/v1/models", "/metrics",
                           "/explain", "/v1/models/x", "/v1/models/a/b"}) {
    EXPECT_TRUE(is_own_path(path)) << path;
  }
  for (const char* path : {"/", "", "/v1", "/v1/models/", "/health/", "/v1/chat/completions", "/modelsx", "/Health"}) {
    EXPECT_FALSE(is_own_path(path)) << path;
  }
}

}  // namespace
}  // namespace svc::router
