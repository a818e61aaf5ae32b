// Service objects as they are printed and stored, and what is read out of metadata.
#include <gtest/gtest.h>

#include <chrono>
#include <nlohmann/json.hpp>

#include "common/core/wire/registry_api.hpp"

namespace svc::wire {
namespace {

using namespace std::chrono_literals;
using Models = std::vector<std::string>;

ServiceSpec full_spec() {
  ServiceSpec spec;
  spec.name = "a \"quoted\" name/\xc3\xa9";
  spec.host = "10.0.0.1";
  spec.port = 65535;
  spec.hostname = "gpu1";
  spec.url = "http://10.0.0.1:65535/x";
  spec.status = "running";
  spec.timestamp = "2026-11-23T12:00:00.000000Z";
  spec.metadata_json = R"({"models":["m1"],"type":"openai-api"})";
  spec.weight = 1'000'000;
  spec.max_fails = 0;
  spec.max_fails_given = true;
  spec.fail_timeout = 1500ms;
  spec.backup = true;
  spec.models = {"m1", "m\"2"};
  spec.heartbeat_interval = 100ms;
  spec.remove_after = 24h * 30;
  return spec;
}

TEST(FactsOf, Metadata_AnythingUnexpectedCountsAsAbsent) {
  struct Case {
    std::string_view metadata, type, health_url;
    Models models;
  };
  const Case cases[] = {
      {"{}", "", "", {}},
      {"", "", "", {}},
      {"[]", "", "", {}},
      {R"({"type":"openai-api","health_url":"http://h/x"})", "openai-api", "http://h/x", {}},
      {R"({"type":5,"health_url":{},"models":"m"})", "", "", {}},
      {R"({"models":["a","b"]})", "", "", {"a", "b"}},
      {R"({"models":["a",5,null,"b"]})", "", "", {"a", "b"}},
      {R"({"models":["a"],"models_list":[{"id":"z"}]})", "", "", {"a"}},
      {R"({"models":[],"models_list":[{"id":"z"},{"id":5},{},7,"s",{"id":"y"}]})", "", "", {"z", "y"}},
      {R"({"models_list":[{"id":"z","object":"model"}]})", "", "", {"z"}},
      {R"({"models_list":{"id":"z"}})", "", "", {}},
  };
  for (const auto& c : cases) {
    const MetadataFacts facts = facts_of(c.metadata);
    EXPECT_EQ(facts.type, c.type) << c.metadata;
    EXPECT_EQ(facts.health_url, c.health_url) << c.metadata;
    EXPECT_EQ(facts.models, c.models) << c.metadata;
  }
}

TEST(NameProblem, Names_LengthControlsAndUtf8AreJudged) {
  EXPECT_EQ(name_problem("a"), std::nullopt);
  EXPECT_EQ(name_problem("A-Za-z0-9._- / \xc3\xa9"), std::nullopt);
  EXPECT_EQ(name_problem(std::string(253, 'x')), std::nullopt);
  EXPECT_EQ(name_problem(""), "'name' must not be empty");
  EXPECT_EQ(name_problem(std::string(254, 'x')), "'name' must be a string of 1 to 253 bytes, got 254 bytes");
  EXPECT_EQ(name_problem("a\tb"), "'name' must not have control characters");
  EXPECT_EQ(name_problem("a\x7f"), "'name' must not have control characters");
  EXPECT_EQ(name_problem(std::string_view("a\0b", 3)), "'name' must not have control characters");
  EXPECT_EQ(name_problem("a\xff"), "'name' must be UTF-8 text");
}

TEST(StaticServiceJson, Fields_AreCompactAndInOrder) {
  EXPECT_EQ(
      static_service_json(full_spec(), facts_of(full_spec().metadata_json)),
      R"({"name":"a \"quoted\" name/)"
      "\xc3\xa9"
      R"(","host":"10.0.0.1","port":65535,"hostname":"gpu1","url":"http://10.0.0.1:65535/x","status":"running",)"
      R"("timestamp":"2026-11-23T12:00:00.000000Z","metadata":{"models":["m1"],"type":"openai-api"},"weight":1000000,)"
      R"("max_fails":0,"fail_timeout":"1.5s","backup":true,"models":["m1","m\"2"])");
}

TEST(StaticServiceJson, Models_FromMetadataWhenNoneWereSent) {
  ServiceSpec spec = full_spec();
  spec.models.clear();
  const auto text = static_service_json(spec, facts_of(R"({"models_list":[{"id":"x"},{"id":"y"}]})"));
  EXPECT_TRUE(text.ends_with(R"("models":["x","y"])")) << text;
  EXPECT_TRUE(nlohmann::json::accept(text + "}"));
  EXPECT_TRUE(static_service_json(spec, {}).ends_with(R"("models":[])"));
}

TEST(EndpointOf, Host_LosesBrackets) {
  ServiceSpec spec = full_spec();
  EXPECT_EQ(endpoint_of(spec).to_string(), "10.0.0.1:65535");
  spec.host = "[::1]";
  EXPECT_EQ(endpoint_of(spec).to_string(), "[::1]:65535");
  spec.host = "::1";
  EXPECT_EQ(endpoint_of(spec).to_string(), "[::1]:65535");
}

TEST(SpecCodec, EncodeDecode_GivesTheSameSpec) {
  ServiceSpec plain;
  plain.name = "p";
  plain.host = "h";
  plain.port = 1;
  for (const auto& spec : {full_spec(), plain}) {
    const auto decoded = decode_spec(encode_spec(spec));
    ASSERT_TRUE(decoded.has_value()) << decoded.error().to_string();
    EXPECT_EQ(*decoded, spec);
  }
}

TEST(SpecCodec, Decode_Version1AsFirstWritten_IsReadForEver) {
  const auto decoded = decode_spec(
      R"({"backup":true,"fail_timeout_ns":1500000000,"heartbeat_interval_ns":100000000,"host":"10.0.0.1","hostname":"gpu1",)"
      R"("max_fails":0,"max_fails_given":true,"metadata":"{\"models\":[\"m1\"],\"type\":\"openai-api\"}","models":["m1","m\"2"],)"
      R"("name":"a \"quoted\" name/é","port":65535,"remove_after_ns":2592000000000000,"status":"running",)"
      R"("timestamp":"2026-11-23T12:00:00.000000Z","url":"http://10.0.0.1:65535/x","v":1,"weight":1000000})");
  ASSERT_TRUE(decoded.has_value()) << decoded.error().to_string();
  EXPECT_EQ(*decoded, full_spec());
}

TEST(SpecCodec, Decode_Damaged_SaysWhat) {
  const auto damaged = [](const char* key, const nlohmann::json& value) {
    auto object = nlohmann::json::parse(encode_spec(full_spec()));
    object[key] = value;
    const auto decoded = decode_spec(object.dump());
    return decoded ? std::string("accepted") : decoded.error().message;
  };
  const std::string prefix = "the stored service is not readable: ";
  EXPECT_EQ(damaged("port", 0), prefix + "field 'port'");
  EXPECT_EQ(damaged("port", "1"), prefix + "field 'port'");
  EXPECT_EQ(damaged("name", ""), prefix + "field 'name'");
  EXPECT_EQ(damaged("host", 5), prefix + "field 'host'");
  EXPECT_EQ(damaged("metadata", "[1]"), prefix + "field 'metadata'");
  EXPECT_EQ(damaged("metadata", "{"), prefix + "field 'metadata'");
  EXPECT_EQ(damaged("metadata", "\xef\xbb\xbf{}"), prefix + "field 'metadata'");
  EXPECT_EQ(damaged("metadata", std::string("{}\0,", 4)), prefix + "field 'metadata'");
  EXPECT_EQ(damaged("heartbeat_interval_ns", INT64_MAX), prefix + "field 'heartbeat_interval_ns'");
  EXPECT_EQ(damaged("fail_timeout_ns", -1), prefix + "field 'fail_timeout_ns'");
  EXPECT_EQ(damaged("models", nlohmann::json::array({1})), prefix + "field 'models'");
  EXPECT_EQ(damaged("backup", 1), prefix + "field 'backup'");
  EXPECT_EQ(damaged("weight", "1"), prefix + "field 'weight'");
  EXPECT_EQ(damaged("v", 2), prefix + "its version is not 1");
  EXPECT_EQ(decode_spec("[]").error().message, prefix + "it is no JSON object");
  EXPECT_EQ(decode_spec("{}").error().message, prefix + "its version is not 1");
  EXPECT_TRUE(decode_spec("{\"v\":1").error().message.starts_with(prefix + "invalid JSON"));
  EXPECT_EQ(decode_spec("{\"v\":1}").error().code, Errc::invalid_argument);
}

}  // namespace
}  // namespace svc::wire
