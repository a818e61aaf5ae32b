#include "router/core/service_record.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "common/core/json_reader.hpp"

namespace svc::router {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using Names = std::vector<std::string>;

json entry(const char* more = "{}") {
  json made = json::parse(R"({"name":"gpu1-server","host":"10.0.0.1","port":5001,"hostname":"n1",
    "url":"http://10.0.0.1:5001","status":"running","metadata":{"type":"openai-api"},"is_healthy":true})");
  made.merge_patch(json::parse(more));
  return made;
}

UpstreamSpec read(const char* more) {
  const auto record = read_service_record(entry(more));
  EXPECT_TRUE(record.has_value()) << record.error().to_string();
  EXPECT_TRUE(record && record->spec) << "not routed to: " << more;
  return record && record->spec ? *record->spec : UpstreamSpec{};
}

std::string refusal(const char* more) {
  const auto record = read_service_record(entry(more));
  return record ? "" : record.error().to_string();
}

TEST(ServiceRecord, OriginalEntry) {
  const auto spec = read(R"({"metadata":{"parent_service":"gpu1","babysitter":"enhanced","started_at":"then",
    "models":["Qwen3-32B"],"models_list":[{"id":"other"}]},"last_heartbeat":1.5,"health_status":"unknown"})");
  EXPECT_EQ(spec.name, "gpu1-server");
  EXPECT_EQ(spec.endpoint.to_string(), "10.0.0.1:5001");
  EXPECT_FALSE(spec.tls);
  EXPECT_EQ(spec.url, "http://10.0.0.1:5001");
  EXPECT_EQ(spec.weight, 1);
  EXPECT_EQ(spec.max_fails, 3);
  EXPECT_EQ(spec.fail_timeout, 30s);
  EXPECT_FALSE(spec.backup || spec.pinned || spec.from_config || spec.lease_lapsed);
  EXPECT_EQ(spec.models, Names{"Qwen3-32B"});
  EXPECT_TRUE(spec.models_stated && spec.agent_on_next_port && spec.serving);
  EXPECT_EQ(spec.incarnation, "then");
  EXPECT_EQ(json::parse(spec.metadata_json)["parent_service"], "gpu1");
}

TEST(ServiceRecord, FieldsOfOurRegistry) {
  const auto spec = read(R"({"weight":7,"max_fails":0,"fail_timeout":"1m","backup":true,"generation":1000041,
    "models":["a","b"],"metadata":{"cache_type":"static","max_batch_size":8,"started_at":1.5}})");
  EXPECT_EQ(spec.weight, 7);
  EXPECT_EQ(spec.max_fails, 0);
  EXPECT_EQ(spec.fail_timeout, 60s);
  EXPECT_TRUE(spec.backup);
  EXPECT_EQ(spec.incarnation, "g1000041");
  EXPECT_EQ(spec.models, (Names{"a", "b"}));
  EXPECT_TRUE(spec.models_stated);
  EXPECT_EQ(spec.cache_type, "static");
  EXPECT_EQ(spec.max_concurrency, 8U);
  EXPECT_FALSE(spec.agent_on_next_port);
}

TEST(ServiceRecord, AgentThatSaysWhereItsPageIs_IsNotSoughtOnTheNextPort) {
  for (const char* more : {R"({"metadata":{"babysitter":"enhanced","health_url":"https://10.0.0.1:5002/health"}})",
                           R"({"metadata":{"parent_service":"gpu1","health_url":"http://10.0.0.1:6002/health"}})"}) {
    EXPECT_FALSE(read(more).agent_on_next_port) << more;
  }
}

TEST(ServiceRecord, Routed_ByTypeElseByModels) {
  struct Row {
    const char* more;
    bool routed;
  };
  for (const Row row :
       {Row{"{}", true}, Row{R"({"metadata":{"type":"InfiniLM","models":["m"]}})", false},
        Row{R"({"metadata":{"type":5,"models":["m"]}})", false}, Row{R"({"metadata":{"type":null}})", false},
        Row{R"({"metadata":null})", false}, Row{R"({"metadata":{"type":null,"models":["m"]}})", true},
        Row{R"({"metadata":null,"models":["m"]})", true}, Row{R"({"metadata":null,"models":[]})", false},
        Row{R"({"metadata":{"type":null,"model":"m"}})", true}}) {
    const auto record = read_service_record(entry(row.more));
    ASSERT_TRUE(record.has_value()) << row.more;
    EXPECT_EQ(record->spec.has_value(), row.routed) << row.more;
    EXPECT_EQ(record->name, "gpu1-server");
  }
}

TEST(ServiceRecord, Models_WhereTheyAreTakenFrom) {
  struct Row {
    const char* more;
    Names models;
    bool stated;
  };
  for (const Row& row :
       {Row{R"({"metadata":{"models":["a"],"models_list":[{"id":"b"}],"model":"d"},"models":["c"]})", {"a"}, true},
        Row{R"({"metadata":{"models":[],"models_list":[{"id":"b"},{"x":1},7,"e"],"model":"d"},"models":["c"]})",
            {"b", "e"},
            true},
        Row{R"({"metadata":{"model":"d"},"models":["c"]})", {"c"}, true},
        Row{R"({"metadata":{"model":"d"}})", {"d"}, false}, Row{R"({"metadata":{"model":7}})", {}, false},
        Row{R"({"metadata":{"models":"a"}})", {}, false}}) {
    const auto spec = read(row.more);
    EXPECT_EQ(spec.models, row.models) << row.more;
    EXPECT_EQ(spec.models_stated, row.stated) << row.more;
  }
}

TEST(ServiceRecord, State) {
  struct Row {
    const char* more;
    bool serving, lapsed;
  };
  for (const Row row : {Row{R"({"is_healthy":null})", true, false}, Row{R"({"status":"draining"})", false, false},
                        Row{R"({"status":"draining","is_healthy":false})", false, false},
                        Row{R"({"status":null})", true, false}, Row{R"({"status":"stopped"})", false, false},
                        Row{R"({"is_healthy":false,"health_status":"unhealthy"})", false, false},
                        Row{R"({"is_healthy":false,"health_status":"healthy"})", false, true},
                        Row{R"({"is_healthy":true,"health_status":"unhealthy"})", true, false}}) {
    const auto spec = read(row.more);
    EXPECT_EQ(spec.serving, row.serving) << row.more;
    EXPECT_EQ(spec.lease_lapsed, row.lapsed) << row.more;
  }
}

TEST(ServiceRecord, StaticInMetadata_PinsNothing) {
  // It was written to mean "static KV cache" and then kept dead entries for ever.
  EXPECT_FALSE(read(R"({"metadata":{"static":true}})").pinned);
}

TEST(ServiceRecord, Addresses) {
  EXPECT_EQ(read(R"({"port":"5002"})").endpoint.port, 5002);
  EXPECT_EQ(read(R"({"host":"[2001:db8::1]","url":null})").url, "http://[2001:db8::1]:5001");
  EXPECT_EQ(read(R"({"url":"not a url"})").url, "http://10.0.0.1:5001");
  EXPECT_EQ(read(R"({"url":"http://elsewhere:9"})").endpoint.to_string(), "10.0.0.1:5001");
  const auto secure = read(R"({"url":"https://gpu1.example:8443"})");
  EXPECT_TRUE(secure.tls);
  EXPECT_EQ(secure.endpoint.to_string(), "gpu1.example:8443");
}

TEST(ServiceRecord, OddTuning_IsPassedOver) {
  const auto spec = read(R"({"weight":-1,"max_fails":"x","fail_timeout":"soon","backup":"yes","metadata":
    {"cache_type":"warm","max_batch_size":0,"max_concurrency":-3}})");
  EXPECT_EQ(spec.weight, 1);
  EXPECT_EQ(spec.max_fails, 3);
  EXPECT_EQ(spec.fail_timeout, 30s);
  EXPECT_FALSE(spec.backup);
  EXPECT_EQ(spec.cache_type, "");
  EXPECT_EQ(spec.max_concurrency, 0U);
  EXPECT_EQ(read(R"({"fail_timeout":2.5})").fail_timeout, 2500ms);
}

TEST(ServiceRecord, PrefillRate_AnyFiniteNumberAboveZero) {
  const auto rate = [](const std::string& value) {
    return read((R"({"metadata":{"prefill_tokens_per_second":)" + value + "}}").c_str()).prefill_rate;
  };
  EXPECT_EQ(rate("8000"), 8000);
  EXPECT_EQ(rate("8123.5"), 8123.5);
  EXPECT_EQ(rate("\"8123.5\""), 8123.5);
  EXPECT_EQ(rate("0.25"), 0.25);
  EXPECT_EQ(rate("1e300"), 1e9);
  for (const char* value : {"0", "-1.5", "null", "true", "[1]", "\"\"", "\"fast\"", "\"inf\"", "\"nan\"", "\"1e999\"",
                            "\"8 \"", "\"-8\""}) {
    EXPECT_EQ(rate(value), 0) << value;
  }
}

TEST(ServiceRecord, Unusable) {
  EXPECT_EQ(refusal(R"({"name":null})"), "'name' must not be empty");
  EXPECT_EQ(refusal(R"({"port":0})"), "service 'gpu1-server' has no usable port");
  EXPECT_EQ(refusal(R"({"port":"1e3"})"), "service 'gpu1-server' has no usable port");
  EXPECT_EQ(refusal(R"({"host":"a b\r\nX: y"})"), "service 'gpu1-server' has no usable host: 'a b\r\nX: y'");
  EXPECT_EQ(refusal(R"({"host":"0x7f.1"})"), "service 'gpu1-server' has no usable host: '0x7f.1'");
  EXPECT_FALSE(read_service_record(json(5)).has_value());
}

TEST(RegistryAnswer, List_GoodEntriesAreTakenBadOnesCounted) {
  const json body = {{"services", {entry(), entry(R"({"port":0})"), 7, entry(R"({"metadata":{"type":"x"}})")}}};
  const auto answer = read_registry_answer(body.dump());
  ASSERT_TRUE(answer.has_value());
  EXPECT_TRUE(answer->is_list);
  EXPECT_EQ(answer->specs.size(), 1U);
  EXPECT_EQ(answer->unreadable, 2U);
  EXPECT_EQ(answer->unreadable_reason, "service 'gpu1-server' has no usable port");
  EXPECT_FALSE(answer->revision || answer->warming);
}

TEST(RegistryAnswer, Changes) {
  const json body = {{"changes",
                      {{{"revision", 41}, {"event", "became_unhealthy"}, {"name", "gpu1-server"}},
                       {{"revision", 42}, {"event", "updated"}, {"name", "gpu1-server"}, {"service", entry()}},
                       {{"revision", 43}, {"event", "unregistered"}, {"name", "b"}, {"service", nullptr}}}},
                     {"revision", 43},
                     {"epoch", "e1"},
                     {"warming", true}};
  const auto answer = read_registry_answer(body.dump());
  ASSERT_TRUE(answer.has_value()) << answer.error().to_string();
  EXPECT_FALSE(answer->is_list);
  EXPECT_EQ(answer->revision, 43U);
  EXPECT_EQ(answer->epoch, "e1");
  EXPECT_TRUE(answer->warming);
  ASSERT_EQ(answer->changes.size(), 3U);
  EXPECT_FALSE(answer->changes[0].tells);
  EXPECT_TRUE(answer->changes[1].tells && answer->changes[1].spec);
  EXPECT_TRUE(answer->changes[2].tells && !answer->changes[2].spec);
}

TEST(RegistryAnswer, Nonsense) {
  for (const char* body : {"", "<html>", "[]", "{}", R"({"services":{}})", R"({"changes":[{}]})", R"({"changes":[1]})",
                           R"({"changes":[{"name":"a","revision":-1}]})"}) {
    EXPECT_FALSE(read_registry_answer(body).has_value()) << body;
  }
}

TEST(KeptView, RoundTrip) {
  KeptView view;
  view.registry_url = "http://r:8081";
  view.saved_at_us = 1'800'000'000'123'456;
  auto rich = read(R"({"weight":7,"backup":true,"generation":4,"models":["a\"b\u0001","c"],"is_healthy":false,
    "url":"https://g:1","metadata":{"cache_type":"static","max_concurrency":8,"babysitter":"x",
    "prefill_tokens_per_second":8123.5,"models_list":[{"id":"é"}]}})");
  view.specs = {read("{}"), rich, read(R"({"name":"","name":"two words/é"})")};
  const auto again = decode_view(encode_view(view));
  ASSERT_TRUE(again.has_value()) << again.error().to_string();
  EXPECT_EQ(again->registry_url, view.registry_url);
  EXPECT_EQ(again->saved_at_us, view.saved_at_us);
  EXPECT_EQ(again->specs, view.specs);
  EXPECT_TRUE(decode_view(encode_view({"", 0, {}})).has_value());
}

TEST(KeptView, Damaged) {
  const std::string good = encode_view({"http://r", 5, {read("{}")}});
  ASSERT_TRUE(decode_view(good).has_value());
  for (std::size_t length = 0; length + 2 < good.size(); ++length) {
    EXPECT_FALSE(decode_view(std::string_view(good).substr(0, length)).has_value()) << length;
  }
  json other = json::parse(good);
  other["version"] = 99;
  EXPECT_FALSE(decode_view(other.dump()).has_value());
  other = json::parse(good);
  other["services"][0]["host"] = "a b";
  EXPECT_FALSE(decode_view(other.dump()).has_value());
}

}  // namespace
}  // namespace svc::router
