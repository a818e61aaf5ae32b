#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "router/core/service_record.hpp"

namespace svc::router {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using Names = std::vector<std::string>;

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

}  // namespace
}  // namespace svc::router
