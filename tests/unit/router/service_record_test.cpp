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

TEST(ServiceRecord, Routed_ByTypeElseByModels) {
  struct Row {
    const char* more;
    bool routed;
  };
  for (const Row row : {Row{"{}", true}, Row{R"({"metadata":{"type":"InfiniLM","models":["m"]}})", false},
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
        Row{R"({"metadata":{"models":[],"models_list":[{"id":"b"},{"x":1},7,"e"],"model":"d"},"models":["c"]})", {"b", "e"}, true},
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

StaticServices statics(const char* text) {
  const auto read = read_static_services(json::parse(text), "services");
  EXPECT_TRUE(read.has_value()) << read.error().to_string();
  return read ? *read : StaticServices{};
}

std::string static_refusal(const char* text) {
  const auto read = read_static_services(json::parse(text), "services");
  return read ? "" : read.error().to_string();
}

TEST(StaticServicesFile, TheOneOfEarlierDeployments) {
  const auto read = statics(R"([{"name":"infinilm-backup1","host":"192.168.1.12","port":5001,"weight":1,
    "metadata":{"static":true,"backup":true}}])");
  ASSERT_EQ(read.specs.size(), 1U);
  const auto& spec = read.specs[0];
  EXPECT_EQ(spec.name, "infinilm-backup1");
  EXPECT_EQ(spec.endpoint.to_string(), "192.168.1.12:5001");
  EXPECT_EQ(spec.url, "http://192.168.1.12:5001");
  EXPECT_TRUE(spec.backup && spec.pinned && spec.from_config && spec.serving);
  EXPECT_TRUE(spec.models.empty());
  EXPECT_TRUE(read.without_weight.empty());
}

TEST(StaticServicesFile, DefaultsAndEveryField) {
  const auto read = statics(R"([{"host":"gpu1","port":5001},
    {"name":"b","host":"::1","port":5002,"weight":0,"max_fails":5,"fail_timeout":"10s","backup":false,"tls":true,
     "models":["m"],"metadata":{"backup":true,"models":["other"],"cache_type":"paged"},"_note":"x"},
    {"host":"c","port":5003,"url":"https://c.example:443","metadata":{"model":"hint"}}])");
  ASSERT_EQ(read.specs.size(), 3U);
  EXPECT_EQ(read.specs[0].name, "service_1");
  EXPECT_EQ(read.specs[1].weight, 0);
  EXPECT_EQ(read.specs[1].max_fails, 5);
  EXPECT_EQ(read.specs[1].fail_timeout, 10s);
  EXPECT_FALSE(read.specs[1].backup) << "the plain field wins";
  EXPECT_TRUE(read.specs[1].tls);
  EXPECT_EQ(read.specs[1].url, "https://[::1]:5002");
  EXPECT_EQ(read.specs[1].models, Names{"m"});
  EXPECT_TRUE(read.specs[1].models_stated);
  EXPECT_EQ(read.specs[1].cache_type, "paged");
  EXPECT_EQ(read.specs[2].name, "service_3");
  EXPECT_EQ(read.specs[2].endpoint.to_string(), "c.example:443");
  EXPECT_EQ(read.specs[2].models, Names{"hint"});
  EXPECT_FALSE(read.specs[2].models_stated);
  EXPECT_EQ(read.without_weight, (Names{"service_1", "b", "service_3"}));
}

TEST(StaticServicesFile, Mistakes) {
  EXPECT_EQ(static_refusal(R"([{"port":1}])"), "Missing required field: services[0].host");
  EXPECT_EQ(static_refusal(R"([{"host":"a"}])"), "Missing required field: services[0].port");
  EXPECT_EQ(static_refusal(R"([{"host":"a b","port":1}])"),
            "'services[0].host' must be a DNS name, an IPv4 or an IPv6 address");
  EXPECT_EQ(static_refusal(R"([{"host":"a","port":0}])"),
            "'services[0].port' must be an integer from 1 to 65535, got 0");
  EXPECT_EQ(static_refusal(R"([{"host":"a","port":1,"wieght":2}])"),
            "unknown key 'services[0].wieght'; did you mean 'weight'?");
  EXPECT_EQ(static_refusal(R"([{"host":"a","port":1,"tls":true,"url":"http://a:1"}])"),
            "'services[0].url' must begin with https:// when tls is true");
  EXPECT_EQ(static_refusal(R"([{"host":"a","port":1,"name":"x"},{"host":"b","port":1,"name":"x"}])"),
            "'services' has two services of the name 'x'");
  EXPECT_EQ(static_refusal("[7]"), "'services[0]' must be an object, got 7");
  EXPECT_NE(static_refusal(R"([{"host":"a","port":1,"metadata":{"backup":"yes"}}])"), "");
}

TEST(StaticServicesFile, WhereTheListIs) {
  const json nested = json::parse(R"({"router":{},"static_services":{"services":[1]}})");
  const json direct = json::parse(R"({"static_services":[1]})");
  const json plain = json::parse(R"({"services":[1]})");
  const json bare = json::parse("[1]");
  for (const json* file : {&nested, &direct, &plain, &bare}) {
    const json* const found = find_static_services(*file);
    ASSERT_NE(found, nullptr) << *file;
    EXPECT_EQ(*found, bare);
  }
  for (const char* text : {"{}", "5", R"({"services":{}})", R"({"static_services":{"service":[]}})"}) {
    const json file = json::parse(text);
    EXPECT_EQ(find_static_services(file), nullptr) << text;
  }
}

TEST(KeptView, RoundTrip) {
  KeptView view;
  view.registry_url = "http://r:8081";
  view.saved_at_us = 1'800'000'000'123'456;
  auto rich = read(R"({"weight":7,"backup":true,"generation":4,"models":["a\"b\u0001","c"],"is_healthy":false,
    "url":"https://g:1","metadata":{"cache_type":"static","max_concurrency":8,"babysitter":"x","models_list":[{"id":"é"}]}})");
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
