#include "ctl/core/proxy_sources.hpp"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

namespace svc::ctl {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

json service(const std::string& name, const json& more = json::object()) {
  json made = {{"name", name},        {"host", "10.0.0.1"}, {"port", 5001},
               {"status", "running"}, {"is_healthy", true}, {"metadata", {{"type", "openai-api"}}}};
  made.update(more);
  return made;
}

ProxyCandidates registered(const json& services) {
  return registered_upstreams(json{{"services", services}}.dump()).value();
}

std::vector<std::string> names(const ProxyCandidates& found) {
  std::vector<std::string> all;
  for (const auto& upstream : found.upstreams) all.push_back(upstream.name);
  return all;
}

TEST(ProxySources, Registered_OnlyWhoIsHealthyAndOffersTheApi) {
  const auto found = registered({
      service("good"),
      service("unhealthy", {{"is_healthy", false}}),
      service("draining", {{"status", "draining"}}),
      service("agent", {{"metadata", {{"type", "vllm"}, {"babysitter", "enhanced"}}}}),
      service("untyped", {{"metadata", json::object()}}),
      service("untyped-with-model", {{"metadata", json::object()}, {"models", {"m"}}}),
      service("original", {{"is_healthy", nullptr}}),
  });
  EXPECT_THAT(names(found), ElementsAre("good", "untyped-with-model", "original"));
  EXPECT_TRUE(found.left_out.empty());
}

TEST(ProxySources, Registered_Fields) {
  const auto found = registered(
      {service("all",
               {{"weight", 3}, {"max_fails", 5}, {"fail_timeout", "1m"}, {"backup", true}, {"models", {"m1", "m2"}}}),
       service("text-port", {{"port", "5003"}}), service("https", {{"url", "https://gpu.example:8443"}}),
       service("six", {{"host", "[fd00::1]"}})});
  ASSERT_EQ(found.upstreams.size(), 4U);
  const ProxyUpstream& all = found.upstreams[0];
  EXPECT_EQ(all.weight, 3);
  EXPECT_EQ(all.max_fails, 5);
  EXPECT_EQ(all.fail_timeout, std::chrono::minutes(1));
  EXPECT_TRUE(all.backup);
  EXPECT_THAT(all.models, ElementsAre("m1", "m2"));
  EXPECT_EQ(found.upstreams[1].endpoint.port, 5003);
  EXPECT_TRUE(found.upstreams[2].tls);
  EXPECT_EQ(found.upstreams[2].endpoint, (Endpoint{"gpu.example", 8443}));
  EXPECT_EQ(found.upstreams[3].endpoint.host, "fd00::1");
}

TEST(ProxySources, Registered_WrongSharesCostNothingElse) {
  const auto found =
      registered(json::array({service("odd", {{"weight", "many"}, {"max_fails", 2}, {"fail_timeout", {1}}})}));
  ASSERT_EQ(found.upstreams.size(), 1U);
  EXPECT_EQ(found.upstreams[0].weight, 1);
  EXPECT_EQ(found.upstreams[0].max_fails, 2);
}

TEST(ProxySources, Registered_WithoutAnAddress_IsLeftOutAndSaid) {
  const auto found =
      registered({service("good"), service("a;b", {{"host", "x; include /etc/passwd"}}), service("c", {{"port", 0}}),
                  service("d", {{"port", 70000}}), service("e", {{"host", 5}})});
  EXPECT_THAT(names(found), ElementsAre("good"));
  EXPECT_THAT(found.left_out, ElementsAre("'a\\u003bb' has no usable host", "'c' has no usable port",
                                          "'d' has no usable port", "'e' has no usable host"));
}

TEST(ProxySources, Registered_ModelsFromMetadata) {
  const auto found =
      registered({service("list", {{"metadata", {{"type", "openai-api"}, {"models", {"a"}}}}}),
                  service("objects", {{"metadata", {{"type", "openai-api"}, {"models_list", {{{"id", "b"}}}}}}}),
                  service("one", {{"metadata", {{"type", "openai-api"}, {"model", "c"}}}})});
  EXPECT_THAT(found.upstreams[0].models, ElementsAre("a"));
  EXPECT_THAT(found.upstreams[1].models, ElementsAre("b"));
  EXPECT_THAT(found.upstreams[2].models, ElementsAre("c"));
}

TEST(ProxySources, Registered_NoList_IsAnError) {
  for (const char* body : {"", "[]", "{}", R"({"services":{}})", "<html>", R"({"services":null})", "5"}) {
    EXPECT_TRUE(registered_upstreams(body).has_error()) << body;
  }
  EXPECT_TRUE(registered({1, nullptr, "x", json::array(), json::object()}).upstreams.empty());
}

TEST(ProxySources, Static_EveryFormOfTheFile) {
  const json list = {{{"host", "10.0.0.1"}, {"port", 1}},
                     {{"name", "b"}, {"host", "h"}, {"port", 2}, {"config", "x.toml"}}};
  for (const json& file : {json{{"static_services", {{"services", list}}}, {"router", json::object()}},
                           json{{"services", list}}, json{{"static_services", list}}, list}) {
    EXPECT_THAT(names(static_upstreams(file).value()), ElementsAre("service_1", "b")) << file;
  }
  const json backup = {{{"host", "h"}, {"port", 1}, {"metadata", {{"backup", true}, {"model", "m"}}}}};
  const auto found = static_upstreams(backup).value();
  EXPECT_TRUE(found.upstreams[0].backup);
  EXPECT_THAT(found.upstreams[0].models, ElementsAre("m"));
}

TEST(ProxySources, Static_Mistakes_NameThePlace) {
  struct Case {
    json file;
    const char* message;
  };
  const json good = {{"host", "h"}, {"port", 1}};
  for (const Case& c : {Case{json::object(), "has no services"}, Case{{{"services", 5}}, "has no services"},
                        Case{{{"services", {good, {{"host", "h"}}}}}, "services[1] has no usable port"},
                        Case{{{"services", {{{"host", "a b"}, {"port", 1}}}}}, "services[0] has no usable host"},
                        Case{{{"services", {{{"host", "h"}, {"port", 1}, {"weight", -1}}}}},
                             "services[0] is wrong: 'weight' must be"}}) {
    const auto found = static_upstreams(c.file);
    ASSERT_TRUE(found.has_error()) << c.file;
    EXPECT_THAT(found.error().to_string(), HasSubstr(c.message));
  }
}

TEST(ProxySources, Settings) {
  const auto settings = proxy_settings(R"({"router": {"port": 9000, "host": "::", "load_balancing_method": "ip_hash",
    "proxy_timeout": 300, "proxy_connect_timeout": "2s", "retry_post": false, "api_keys_file": "keys.json"}})")
                            .value();
  EXPECT_EQ(settings.port, 9000);
  EXPECT_EQ(settings.host, "::");
  EXPECT_EQ(settings.load_balancing_method, "ip_hash");
  EXPECT_EQ(settings.proxy_timeout, std::chrono::seconds(300));
  EXPECT_EQ(settings.proxy_connect_timeout, std::chrono::seconds(2));
  EXPECT_FALSE(settings.retry_post);
  EXPECT_TRUE(settings.asks_for_api_keys);
  EXPECT_FALSE(settings.sends_upstream_token);
  EXPECT_TRUE(proxy_settings("{}").has_error());
  EXPECT_TRUE(proxy_settings("").has_error());
  EXPECT_TRUE(proxy_settings(R"({"router": {"port": "x"}})").has_error());
}

}  // namespace
}  // namespace svc::ctl
