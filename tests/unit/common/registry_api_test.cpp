// Registrations, updates and heartbeats as clients send them.
#include "common/core/wire/registry_api.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <nlohmann/json.hpp>

namespace svc::wire {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;

constexpr WallTime kNow{std::chrono::seconds(1'795'435'200)};

json minimal() {
  return json{
      {"name", "a"},        {"host", "10.0.0.1"}, {"port", 8000}, {"hostname", "gpu1"}, {"url", "http://10.0.0.1:8000"},
      {"status", "running"}};
}

/// A registration with one field set to a JSON text.
std::string with(const std::string& key, const std::string& value) {
  json body = minimal();
  body[key] = json::parse(value);
  return body.dump();
}

std::string quoted(std::size_t length) { return '"' + std::string(length, 'x') + '"'; }

TEST(ParseRegistration, Minimal_FillsInTheDefaults) {
  const auto spec = parse_registration(minimal().dump(), kNow);
  ASSERT_TRUE(spec.has_value()) << spec.error().to_string();
  ServiceSpec expected;
  expected.name = "a";
  expected.host = "10.0.0.1";
  expected.port = 8000;
  expected.hostname = "gpu1";
  expected.url = "http://10.0.0.1:8000";
  expected.status = "running";
  expected.timestamp = "2026-11-23T12:00:00.000000Z";
  EXPECT_EQ(*spec, expected);
  EXPECT_EQ(spec->metadata_json, "{}");
  EXPECT_EQ(spec->weight, 1);
  EXPECT_EQ(spec->max_fails, 3);
  EXPECT_FALSE(spec->max_fails_given);
  EXPECT_EQ(spec->fail_timeout, Duration(30s));
}

TEST(ParseRegistration, EveryField_IsKept) {
  json body = minimal();
  body.update({{"timestamp", "then"},
               {"metadata", {{"b", 1}, {"a", {1, 2.5}}}},
               {"weight", 7},
               {"max_fails", 0},
               {"fail_timeout", "1m"},
               {"backup", true},
               {"models", {"m1", "m2"}},
               {"heartbeat_interval", 10},
               {"remove_after", "2h"},
               {"unknown", "dropped"}});
  const auto spec = parse_registration(body.dump(2), kNow);
  ASSERT_TRUE(spec.has_value()) << spec.error().to_string();
  EXPECT_EQ(spec->timestamp, "then");
  EXPECT_EQ(spec->metadata_json, R"({"a":[1,2.5],"b":1})");
  EXPECT_EQ(spec->weight, 7);
  EXPECT_EQ(spec->max_fails, 0);
  EXPECT_TRUE(spec->max_fails_given);
  EXPECT_EQ(spec->fail_timeout, Duration(60s));
  EXPECT_TRUE(spec->backup);
  EXPECT_EQ(spec->models, (std::vector<std::string>{"m1", "m2"}));
  EXPECT_EQ(spec->heartbeat_interval, Duration(10s));
  EXPECT_EQ(spec->remove_after, Duration(2h));
}

TEST(ParseRegistration, LenientForms_AreAccepted) {
  EXPECT_EQ(parse_registration(with("port", R"("39001")"), kNow)->port, 39001);
  EXPECT_EQ(parse_registration(with("metadata", "null"), kNow)->metadata_json, "{}");
  EXPECT_EQ(parse_registration(with("timestamp", "null"), kNow)->timestamp, "2026-11-23T12:00:00.000000Z");
  EXPECT_EQ(parse_registration(with("timestamp", R"("")"), kNow)->timestamp, "2026-11-23T12:00:00.000000Z");
  EXPECT_EQ(parse_registration(with("timestamp", "1790000000.25"), kNow)->timestamp, "1790000000.25");
  EXPECT_EQ(parse_registration(with("timestamp", "1790000000"), kNow)->timestamp, "1790000000");
  EXPECT_EQ(parse_registration(with("weight", "null"), kNow)->weight, 1);
  EXPECT_EQ(parse_registration(with("fail_timeout", "0.5"), kNow)->fail_timeout, Duration(500ms));
  EXPECT_EQ(parse_registration(with("name", R"("a/b c\u00e9")"), kNow)->name, "a/b c\u00e9");
  for (const auto* host : {R"("localhost")", R"("gpu_1.lab")", R"("::1")", R"("[::1]")", R"("192.168.1.9")"}) {
    EXPECT_TRUE(parse_registration(with("host", host), kNow).has_value()) << host;
  }
}

TEST(ParseRegistration, LargestValues_AreAccepted) {
  for (const auto& [key, value] : {std::pair<std::string, std::string>{"name", quoted(253)},
                                   {"hostname", quoted(1024)},
                                   {"status", quoted(64)},
                                   {"timestamp", quoted(64)},
                                   {"port", "65535"},
                                   {"port", "1"},
                                   {"weight", "1000000"},
                                   {"weight", "0"},
                                   {"max_fails", "1000000"},
                                   {"fail_timeout", R"("24h")"},
                                   {"fail_timeout", "0.001"},
                                   {"heartbeat_interval", R"("100ms")"},
                                   {"heartbeat_interval", "86400"},
                                   {"remove_after", "1"},
                                   {"remove_after", R"("30d")"},
                                   {"models", "[" + quoted(512) + "]"},
                                   {"metadata", R"({"k":)" + quoted(kMaxMetadataBytes - 8) + "}"}}) {
    const auto spec = parse_registration(with(key, value), kNow);
    EXPECT_TRUE(spec.has_value()) << key << ": " << spec.error().to_string();
  }
}

TEST(ParseRegistration, MissingField_NamesTheFirstInOrder) {
  json body = json::object();
  for (const auto* key : {"name", "host", "port", "hostname", "url", "status"}) {
    const auto spec = parse_registration(body.dump(), kNow);
    ASSERT_TRUE(spec.has_error());
    EXPECT_EQ(spec.error().message, std::string("Missing required field: ") + key);
    EXPECT_EQ(spec.error().code, Errc::invalid_argument);
    body[key] = minimal()[key];
  }
  EXPECT_TRUE(parse_registration(body.dump(), kNow).has_value());
  EXPECT_EQ(parse_registration(with("status", "null"), kNow).error().message, "Missing required field: status");
  // A missing field is told before a bad one, as it always was.
  EXPECT_EQ(parse_registration(R"({"name":5})", kNow).error().message, "Missing required field: host");
}

TEST(ParseRegistration, NotAnObject_IsInvalidJson) {
  for (const auto* body :
       {"", "{", "nonsense", "{\"name\":}", "{} {}", "[]", "5", "null", "\"text\"", "{\"a\":\"\xff\"}"}) {
    const auto spec = parse_registration(body, kNow);
    ASSERT_TRUE(spec.has_error()) << body;
    EXPECT_EQ(spec.error().message, "Invalid JSON") << body;
    EXPECT_NE(spec.error().cause, "") << body;
  }
  EXPECT_EQ(parse_registration("[]", kNow).error().cause, "expected an object, got array");
  EXPECT_TRUE(parse_registration(with("metadata", R"({"k":)" + std::string(30, '[') + std::string(30, ']') + "}"), kNow)
                  .has_value());
  EXPECT_EQ(parse_registration(with("metadata", R"({"k":)" + std::string(31, '[') + std::string(31, ']') + "}"), kNow)
                .error()
                .message,
            "Invalid JSON");
}

struct Bad {
  std::string key, value, message;
};

TEST(ParseRegistration, BadField_IsNamedWithItsRule) {
  const Bad cases[] = {
      {"name", "5", "'name' must be a string, got 5"},
      {"name", R"("")", "'name' must not be empty"},
      {"name", quoted(254), "'name' must be a string of 1 to 253 bytes, got 254 bytes"},
      {"name", R"("a\nb")", "'name' must not have control characters"},
      {"name", R"("a\u0000b")", "'name' must not have control characters"},
      {"host", "[]", "'host' must be a string, got an array"},
      {"host", R"("")", "'host' must not be empty"},
      {"host", quoted(254), "'host' must be a string of 1 to 253 bytes, got 254 bytes"},
      {"host", R"("a b")", R"('host' must be a host name or an IP address, got "a b")"},
      {"host", R"("h:80")", R"('host' must be a host name or an IP address, got "h:80")"},
      {"host", R"("http://h")", R"('host' must be a host name or an IP address, got "http://h")"},
      {"host", R"("2130706433")", R"('host' must be a host name or an IP address, got "2130706433")"},
      {"host", R"("0x7f.1")", R"('host' must be a host name or an IP address, got "0x7f.1")"},
      {"port", R"("abc")", R"('port' must be an integer from 1 to 65535, got "abc")"},
      {"port", R"("")", R"('port' must be an integer from 1 to 65535, got "")"},
      {"port", R"(" 80")", R"('port' must be an integer from 1 to 65535, got " 80")"},
      {"port", R"("65536")", R"('port' must be an integer from 1 to 65535, got "65536")"},
      {"port", "0", "'port' must be an integer from 1 to 65535, got 0"},
      {"port", "65536", "'port' must be an integer from 1 to 65535, got 65536"},
      {"port", "-1", "'port' must be an integer from 1 to 65535, got -1"},
      {"port", "80.5", "'port' must be an integer from 1 to 65535, got 80.5"},
      {"port", "true", "'port' must be an integer from 1 to 65535, got true"},
      {"hostname", "1", "'hostname' must be a string, got 1"},
      {"hostname", quoted(1025), "'hostname' must be a string of 1 to 1024 bytes, got 1025 bytes"},
      {"url", "7", "'url' must be a string, got 7"},
      {"url", R"("h:80")", R"('url' must be an http or https URL of at most 1024 bytes, got "h:80")"},
      {"url", R"("ftp://h")", R"('url' must be an http or https URL of at most 1024 bytes, got "ftp://h")"},
      {"url", R"("http://u:p@h")", R"('url' must be an http or https URL of at most 1024 bytes, got "http://u:p@h")"},
      {"url", quoted(1025), "'url' must be a string of 1 to 1024 bytes, got 1025 bytes"},
      {"status", "{}", "'status' must be a string, got an object"},
      {"status", R"("")", "'status' must not be empty"},
      {"status", quoted(65), "'status' must be a string of 1 to 64 bytes, got 65 bytes"},
      {"timestamp", "true", "'timestamp' must be a string, got true"},
      {"timestamp", quoted(65), "'timestamp' must be a string of at most 64 bytes, got 65 bytes"},
      {"metadata", "[]", "'metadata' must be an object, got an array"},
      {"metadata", R"("x")", R"('metadata' must be an object, got "x")"},
      {"metadata", R"({"k":)" + quoted(kMaxMetadataBytes) + "}",
       "'metadata' must be at most 65536 bytes of JSON, got 65544"},
      {"metadata", R"({"health_url":5})", "'metadata.health_url' must be a string"},
      {"metadata", R"({"health_url":"gopher://h"})",
       R"('metadata.health_url' must be an http or https URL of at most 1024 bytes, got "gopher://h")"},
      {"weight", "-1", "'weight' must be an integer from 0 to 1000000, got -1"},
      {"weight", "1000001", "'weight' must be an integer from 0 to 1000000, got 1000001"},
      {"weight", R"("1")", R"('weight' must be an integer from 0 to 1000000, got "1")"},
      {"max_fails", "-1", "'max_fails' must be an integer from 0 to 1000000, got -1"},
      {"max_fails", "1e300", "'max_fails' must be an integer from 0 to 1000000, got 1e+300"},
      {"fail_timeout", "0", "'fail_timeout' must be a duration from 1ms to 24h, got 0"},
      {"fail_timeout", "86401", "'fail_timeout' must be a duration from 1ms to 24h, got 86401"},
      {"fail_timeout", R"("soon")", R"('fail_timeout' must be a duration from 1ms to 24h, got "soon")"},
      {"backup", R"("yes")", R"('backup' must be true or false, got "yes")"},
      {"models", R"("m")", R"('models' must be an array of strings, got "m")"},
      {"models", R"(["m",5])", "'models[1]' must be a string, got 5"},
      {"models", R"([""])", "'models[0]' must not be empty"},
      {"models", "[" + quoted(513) + "]", "'models[0]' must be a string of 1 to 512 bytes, got 513 bytes"},
      {"heartbeat_interval", "0.05", "'heartbeat_interval' must be a duration from 100ms to 24h, got 0.05"},
      {"heartbeat_interval", R"("2d")", R"('heartbeat_interval' must be a duration from 100ms to 24h, got "2d")"},
      {"remove_after", "0.5", "'remove_after' must be a duration from 1s to 720h, got 0.5"},
      {"remove_after", R"("31d")", R"('remove_after' must be a duration from 1s to 720h, got "31d")"},
  };
  for (const auto& c : cases) {
    const auto spec = parse_registration(with(c.key, c.value), kNow);
    ASSERT_TRUE(spec.has_error()) << c.key << ' ' << c.value.substr(0, 80);
    EXPECT_EQ(spec.error().code, Errc::invalid_argument);
    EXPECT_EQ(spec.error().message, c.message);
    if (c.key == "name" || c.key == "timestamp") continue;
    const auto patch = parse_update(R"({")" + c.key + R"(":)" + c.value + "}");  // an update has the same rules
    ASSERT_TRUE(patch.has_error()) << c.key << ' ' << c.value.substr(0, 80);
    EXPECT_EQ(patch.error().message, c.message);
  }
}

TEST(ParseRegistration, TooManyModels_AreRefused) {
  json body = minimal();
  body["models"] = std::vector<std::string>(1001, "m");
  EXPECT_EQ(parse_registration(body.dump(), kNow).error().message, "'models' must have at most 1000 items, got 1001");
}

TEST(ParseUpdate, PresentFields_AloneAreSet) {
  const auto patch = parse_update(R"({"status":"draining","port":"81","name":"ignored","metadata":null,"host":null})");
  ASSERT_TRUE(patch.has_value()) << patch.error().to_string();
  ServicePatch rest = *patch;
  EXPECT_EQ(rest.status, "draining");
  EXPECT_EQ(rest.port, 81);
  EXPECT_EQ(rest.metadata_json, "{}");
  rest.status.reset();
  rest.port.reset();
  rest.metadata_json.reset();
  EXPECT_TRUE(rest.empty());
  EXPECT_TRUE(parse_update("{}")->empty());
  EXPECT_EQ(parse_update("").error().message, "Invalid JSON");
  EXPECT_EQ(parse_update("[1]").error().message, "Invalid JSON");
}

TEST(Patched, EachField_ReplacesItsOwn) {
  const auto patch = parse_update(
      R"({"host":"h2","port":2,"hostname":"n2","url":"http://h2","status":"s2","metadata":{"x":1},"weight":2,
      "max_fails":4,"fail_timeout":5,"backup":true,"models":["m"],"heartbeat_interval":6,"remove_after":70})");
  ASSERT_TRUE(patch.has_value()) << patch.error().to_string();
  EXPECT_FALSE(patch->empty());
  ServiceSpec expected = *parse_registration(minimal().dump(), kNow);
  const ServiceSpec changed = patched(expected, *patch);
  expected.host = "h2";
  expected.port = 2;
  expected.hostname = "n2";
  expected.url = "http://h2";
  expected.status = "s2";
  expected.metadata_json = R"({"x":1})";
  expected.weight = 2;
  expected.max_fails = 4;
  expected.max_fails_given = true;
  expected.fail_timeout = 5s;
  expected.backup = true;
  expected.models = {"m"};
  expected.heartbeat_interval = 6s;
  expected.remove_after = 70s;
  EXPECT_EQ(changed, expected);
  EXPECT_EQ(patched(expected, {}), expected);
}

TEST(ParseHeartbeat, UsableParts_AreReadAndTheRestIgnored) {
  struct Case {
    std::string body;
    std::optional<std::string> status;
    std::optional<std::uint64_t> generation;
  };
  const Case cases[] = {
      {"", {}, {}},
      {"not json", {}, {}},
      {"[]", {}, {}},
      {"{}", {}, {}},
      {R"({"status":"running"})", "running", {}},
      {R"({"status":"running","generation":7})", "running", 7},
      {R"({"generation":18446744073709551615})", {}, ~std::uint64_t{0}},
      {R"({"status":5,"generation":7})", {}, 7},
      {R"({"status":"","generation":-7})", {}, {}},
      {R"({"status":"a\nb"})", {}, {}},
      {R"({"status":)" + quoted(65) + "}", {}, {}},
      {R"({"status":"running","generation":"7"})", "running", {}},
      {R"({"status":"running","generation":7.5})", "running", {}},
  };
  for (const auto& c : cases) {
    const HeartbeatRequest request = parse_heartbeat(c.body);
    EXPECT_EQ(request.status, c.status) << c.body;
    EXPECT_EQ(request.generation, c.generation) << c.body;
  }
}

TEST(Generation, OfARegistrationAndAnUpdate_IsReadAndNotKept) {
  std::optional<std::uint64_t> generation;
  const auto spec = parse_registration(with("generation", "1000001"), kNow, &generation);
  ASSERT_TRUE(spec.has_value());
  EXPECT_EQ(generation, 1'000'001U);
  EXPECT_EQ(*spec, *parse_registration(minimal().dump(), kNow, &generation));
  EXPECT_EQ(generation, std::nullopt);
  const auto patch = parse_update(R"({"generation":7})");
  ASSERT_TRUE(patch.has_value());
  EXPECT_EQ(patch->generation, 7U);
  EXPECT_TRUE(patch->empty());
  for (const auto* bad : {R"("7")", "-7", "7.5", "[]"}) {
    EXPECT_EQ(parse_update(std::string(R"({"generation":)") + bad + "}").error().code, Errc::invalid_argument) << bad;
  }
}

}  // namespace
}  // namespace svc::wire
