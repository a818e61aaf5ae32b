#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "router/config.hpp"
#include "tests/support/temp_folder.hpp"

namespace svc::router {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using Flags = std::vector<std::string>;

/// As the daemon does it: file, environment, flags, then validate(). The first error's text, "" when all is well.
class RouterConfigTest : public ::testing::Test {
 public:
  std::string load(Flags flags, const char* file = nullptr, const std::map<std::string, std::string>& env = {}) {
    if (file != nullptr) {
      flags.insert(flags.begin(), {"--config", folder_.write("router.json", file)});
    }
    const GetEnv getenv = [&env](const std::string& name) -> std::optional<std::string> {
      const auto found = env.find(name);
      return found == env.end() ? std::nullopt : std::optional(found->second);
    };
    config_ = std::make_unique<RouterConfig>();
    const auto cli = parse_command_line(router_cli(), config_->options(), flags, getenv);
    if (!cli) return cli.error().to_string();
    const auto errors = load_settings(
        router_cli(), *cli, config_->options(), [this](const json& text) { return config_->read_extra(text); }, getenv);
    if (!errors.empty()) return errors.front().to_string();
    const auto valid = config_->validate();
    return valid ? "" : valid.error().to_string();
  }
  const RouterSettings& settings() const { return config_->settings(); }

  test::TempFolder folder_;
  std::unique_ptr<RouterConfig> config_;
};

TEST_F(RouterConfigTest, Defaults_AreValidAndThoseOfTheStruct) {
  EXPECT_EQ(load({}), "");
  const RouterSettings plain;
  EXPECT_EQ(settings().port, plain.port);
  EXPECT_EQ(settings().log.file, "logs/distributed_router.log");
  EXPECT_EQ(settings().balancing.method, Method::round_robin);
  EXPECT_EQ(settings().balancing.size_threshold, 51'200U);
  EXPECT_TRUE(settings().address_policy.refuse_link_local);
  EXPECT_TRUE(settings().static_upstreams.empty());
  const auto declared = config_->options().options();
  for (const auto& option : std::vector<OptionTable::Option>(declared.begin(), declared.end())) {
    EXPECT_EQ(load({option.flag + "=" + option.default_text}), "") << option.flag;
  }
}

TEST_F(RouterConfigTest, FlagsOfEarlierImplementations) {
  const std::string file = folder_.write("static.json", R"({"services":[{"host":"a","port":1}]})");
  EXPECT_EQ(load({"--router-port", "18080", "--registry-url", "http://h:8081", "--static-services", file,
                  "--health-interval", "30", "--health-timeout", "5", "--max-errors", "3", "--registry-sync-interval",
                  "10", "--service-removal-grace-period", "60"}),
            "");
  EXPECT_EQ(settings().port, 18080);
  EXPECT_EQ(settings().registry_url, "http://h:8081");
  ASSERT_EQ(settings().static_upstreams.size(), 1U);
  EXPECT_EQ(settings().static_upstreams[0].name, "service_1");
  EXPECT_EQ(load({"--router-port=1", "--port=2"}), "");
  EXPECT_EQ(load({"--router-prt", "1"}), "unknown flag '--router-prt'; did you mean '--router-port'?");
}

TEST_F(RouterConfigTest, VariablesOfEarlierImplementations) {
  EXPECT_EQ(load({}, nullptr, {{"PROXY_TIMEOUT_SECONDS", "1800"}, {"CACHE_TYPE_ROUTING_THRESHOLD", "9"}}), "");
  EXPECT_EQ(settings().proxy_timeout, 1800s);
  EXPECT_EQ(settings().balancing.size_threshold, 9U);
  EXPECT_EQ(load({}, nullptr, {{"PROXY_TIMEOUT_SECONDS", "1800"}, {"INFINILM_ROUTER_PROXY_TIMEOUT", "60"}}), "");
  EXPECT_EQ(settings().proxy_timeout, 60s);
  EXPECT_NE(load({}, nullptr, {{"PROXY_TIMEOUT_SECONDS", "long"}}).find("'PROXY_TIMEOUT_SECONDS' must be"),
            std::string::npos);
}

TEST_F(RouterConfigTest, TheExampleFile_BothWays) {
  const std::string path = SVC_SOURCE_DIR "/deployment_configs/router_config.json";
  for (const Flags& flags : {Flags{"--config", path}, Flags{"--static-services", path},
                             Flags{"--config", path, "--static-services", path}}) {
    ASSERT_EQ(load(flags), "");
    ASSERT_EQ(settings().static_upstreams.size(), 1U);
    EXPECT_EQ(settings().static_upstreams[0].name, "infinilm-backup1");
    EXPECT_TRUE(settings().static_upstreams[0].backup);
  }
  EXPECT_EQ(settings().registry_url, "http://192.168.1.100:8081");
  EXPECT_EQ(settings().proxy_timeout, 300s);
  EXPECT_EQ(settings().proxy_connect_timeout, 60s);
}

TEST_F(RouterConfigTest, RegistryUrl_WithAndWithoutServices) {
  for (const char* text : {"http://h:8081", "http://h:8081/", "http://h:8081/services", "http://h:8081/services/"}) {
    EXPECT_EQ(load({"--registry-url", text}), "");
    EXPECT_EQ(settings().registry_url, "http://h:8081") << text;
  }
  EXPECT_EQ(load({"--registry-url", "https://h/registry/services"}), "");
  EXPECT_EQ(settings().registry_url, "https://h/registry");
  EXPECT_NE(load({"--registry-url", "h:8081"}), "");
  EXPECT_EQ(load({"--registry-url", "http://h:8081/?a=b"}),
            "registry_url: must not have a query, got 'http://h:8081/?a=b'");
}

TEST_F(RouterConfigTest, Methods) {
  EXPECT_EQ(load({"--load-balancing-method", "least_conn"},
                 R"({"models":{"m":{"load_balancing_method":"session"},"_why":"x","n":{}}})"),
            "");
  EXPECT_EQ(settings().balancing.method, Method::least_connections);
  ASSERT_EQ(settings().balancing.method_by_model.size(), 1U);
  EXPECT_EQ(settings().balancing.method_by_model.at("m"), Method::session);
  EXPECT_NE(load({"--load-balancing-method", "roundrobin"}), "");
  EXPECT_NE(load({}, R"({"models":{"m":{"load_balancing_method":"fair"}}})").find("models.m.load_balancing_method"),
            std::string::npos);
  EXPECT_NE(load({}, R"({"models":{"m":{"alias_of":"n"}}})").find("unknown key 'models.m.alias_of'"),
            std::string::npos);
  EXPECT_NE(load({}, R"({"models":[]})"), "");
}

TEST_F(RouterConfigTest, Queue_IsAsPatientAsAnInstanceWouldBe_WithHold) {
  EXPECT_EQ(load({"--proxy-timeout=200s"}), "");
  EXPECT_EQ(settings().queue.max_wait, 30s);
  EXPECT_EQ(load({"--proxy-timeout=200s", "--hold"}), "");
  EXPECT_EQ(settings().queue.max_wait, 200s);
  EXPECT_EQ(load({"--proxy-timeout=200s", "--hold", "--queue-timeout=5s"}), "");
  EXPECT_EQ(settings().queue.max_wait, 5s);
}

TEST_F(RouterConfigTest, Aliases_ChainsAreFollowedCirclesRefused) {
  EXPECT_EQ(load({}, R"({"router":{"model_aliases":{"gpt-4o":"big","big":"qwen3-32b"}}})"), "");
  EXPECT_EQ(settings().balancing.model_aliases.at("gpt-4o"), "qwen3-32b");
  EXPECT_EQ(settings().balancing.model_aliases.at("big"), "qwen3-32b");
  EXPECT_EQ(load({"--model-aliases", "a=b, c=d"}), "");
  EXPECT_EQ(settings().balancing.model_aliases.at("c"), "d");
  EXPECT_EQ(load({"--model-aliases", "a=b,b=a"}), "model_aliases: 'a' leads back to itself");
  EXPECT_EQ(load({"--model-aliases", "a=a"}), "model_aliases: 'a' leads back to itself");
  EXPECT_NE(load({"--model-aliases", "a"}), "");
  EXPECT_NE(load({}, R"({"router":{"model_aliases":{"a":5}}})").find("'router.model_aliases.a' must be"),
            std::string::npos);
}

TEST_F(RouterConfigTest, Weighted_NeedsWeights) {
  EXPECT_EQ(load({"--load-balancing-method", "weighted"}, R"({"static_services":[{"host":"a","port":1,"weight":3}]})"),
            "");
  EXPECT_EQ(load({"--load-balancing-method", "weighted"}, R"({"static_services":[{"host":"a","port":1}]})"),
            "static service 'service_1' states no weight above 0, which the method 'weighted' needs");
  EXPECT_NE(load({"--load-balancing-method", "weighted"}, R"({"static_services":[{"host":"a","port":1,"weight":0}]})"),
            "");
}

TEST_F(RouterConfigTest, StaticServices_OfBothSources) {
  const std::string file = folder_.write("static.json", R"([{"name":"x","host":"a","port":1}])");
  EXPECT_EQ(load({"--static-services", file}, R"({"static_services":{"services":[{"name":"y","host":"b","port":2}]}})"),
            "");
  EXPECT_EQ(settings().static_upstreams.size(), 2U);
  EXPECT_EQ(load({"--static-services", file}, R"({"static_services":[{"name":"x","host":"b","port":2}]})"),
            file + ": there are two static services of the name 'x'");
  EXPECT_NE(load({}, R"({"static_services":{"service":[]}})"), "");
  EXPECT_NE(load({}, R"({"static_services":{"services":[{"host":"a"}]}})")
                .find("Missing required field: static_services.services[0].port"),
            std::string::npos);
  EXPECT_NE(load({"--static-services", folder_.path("none.json")}), "");
  EXPECT_NE(load({"--static-services", folder_.write("odd.json", "{}")}).find("there is no list 'services'"),
            std::string::npos);
}

TEST_F(RouterConfigTest, Mistakes) {
  const std::vector<Flags> rows = {{"--trusted-proxies", "10.0.0.1/8"},
                                   {"--allow-networks", "everything"},
                                   {"--tls-cert", "a.pem"},
                                   {"--tls-key", "a.pem"},
                                   {"--unknown-model-status", "500"},
                                   {"--session-header", "X Session"},
                                   {"--health-path", "health"},
                                   {"--access-log-sample", "1.5"},
                                   {"--proxy-total-timeout", "1s"},
                                   {"--refused-first", "2m"},
                                   {"--max-buffered-bytes", "4096"},
                                   {"--panic-threshold", "-1"}};
  for (const Flags& flags : rows) EXPECT_NE(load(flags), "") << flags[0];
  EXPECT_EQ(load({"--unknown-model-status", "503"}), "");
  EXPECT_EQ(load({"--trusted-proxies", "10.0.0.0/8,::1", "--allow-networks", "10.0.0.0/8", "--allow-link-local"}), "");
  EXPECT_EQ(settings().trusted.size(), 2U);
  EXPECT_EQ(settings().address_policy.allow.size(), 1U);
  EXPECT_FALSE(settings().address_policy.refuse_link_local);
}

TEST_F(RouterConfigTest, PrintedSettings_AreReadAgain) {
  EXPECT_EQ(load({"--model-aliases", "a=b", "--trusted-proxies", "::1"}), "");
  const std::string printed = config_->options().values().dump();
  const json file = {{"router", json::parse(printed)}};
  EXPECT_EQ(load({}, file.dump().c_str()), "");
  EXPECT_EQ(config_->options().values().dump(), printed);
}

}  // namespace
}  // namespace svc::router
