#include "agent/core/registration.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "common/core/wire/metadata_rules.hpp"
#include "common/core/wire/registry_api.hpp"

namespace svc::agent {
namespace {

using nlohmann::json;
using namespace std::chrono_literals;

ServiceSettings settings() {
  ServiceSettings s;
  s.name = "gpu1";
  s.host = "10.0.0.7";
  s.port = 5001;
  s.service_type = "InfiniLM";
  s.path = "/models/9g_8b";
  s.heartbeat_interval = 10s;
  return s;
}

InstanceFacts facts() {
  InstanceFacts f;
  f.status = "running";
  f.started_at = "2026-01-02T03:04:05.000000Z";
  f.engine_port = 5001;
  return f;
}

ModelList one_model() {
  return *parse_model_list(R"({"data":[{"id":"9g_8b","object":"model","owned_by":"infinilm"}]})");
}

json parsed(const std::string& body) { return json::parse(body); }

/// As our registry reads it.
wire::ServiceSpec spec_of(const std::string& body) {
  auto spec = wire::parse_registration(body, WallTime{});
  EXPECT_TRUE(spec.has_value()) << spec.error().to_string() << "\n" << body.substr(0, 500);
  return spec ? *spec : wire::ServiceSpec{};
}

TEST(Registration, AgentEntry_IsWhatTheEarlierAgentsSent) {
  const auto body = agent_registration(settings(), facts());
  EXPECT_EQ(parsed(body), parsed(R"({
    "name": "gpu1", "host": "10.0.0.7", "port": 5002, "hostname": "10.0.0.7", "url": "http://10.0.0.7:5002",
    "status": "running", "heartbeat_interval": "10s",
    "metadata": {"type": "InfiniLM", "config_file": "/models/9g_8b", "babysitter": "enhanced",
                 "started_at": "2026-01-02T03:04:05.000000Z", "state": "running", "restarts": 0}})"));
  EXPECT_NE(body.find(R"("name":"gpu1")"), std::string::npos) << "scripts grep for it without blanks";
}

TEST(Registration, EngineEntry_IsWhatTheEarlierAgentsSent) {
  EXPECT_EQ(parsed(engine_registration(settings(), facts(), one_model())), parsed(R"({
    "name": "gpu1-server", "host": "10.0.0.7", "port": 5001, "hostname": "10.0.0.7", "url": "http://10.0.0.7:5001",
    "status": "running", "heartbeat_interval": "10s", "models": ["9g_8b"],
    "metadata": {"type": "openai-api", "parent_service": "gpu1", "babysitter": "enhanced", "models": ["9g_8b"],
                 "models_list": [{"id": "9g_8b", "object": "model", "owned_by": "infinilm"}],
                 "started_at": "2026-01-02T03:04:05.000000Z"}})"));
}

TEST(Registration, EngineEntry_RoundTripThroughOurRegistry) {
  auto s = settings();
  s.weight = 3;
  s.weight_given = true;
  s.max_fails = 0;
  s.fail_timeout = 45s;
  s.backup = true;
  s.metadata_json = R"({"cache_type":"paged","gpu_count":2})";
  const auto spec = spec_of(engine_registration(s, facts(), one_model()));
  EXPECT_EQ(spec.name, "gpu1-server");
  EXPECT_EQ(wire::endpoint_of(spec), (Endpoint{"10.0.0.7", 5001}));
  EXPECT_EQ(spec.status, "running");
  EXPECT_EQ(spec.weight, 3);
  EXPECT_EQ(spec.max_fails, 0);
  EXPECT_TRUE(spec.max_fails_given);
  EXPECT_EQ(spec.fail_timeout, 45s);
  EXPECT_TRUE(spec.backup);
  EXPECT_EQ(spec.heartbeat_interval, Duration(10s));
  EXPECT_EQ(spec.models, std::vector<std::string>{"9g_8b"});
  EXPECT_EQ(wire::facts_of(spec.metadata_json).type, "openai-api");
  EXPECT_EQ(json::parse(spec.metadata_json)["gpu_count"], 2);
  EXPECT_EQ(json::parse(spec.metadata_json)["cache_type"], "paged");
}

TEST(Registration, BalancingFields_OnlyWhenGiven) {
  const auto body = parsed(engine_registration(settings(), facts(), one_model()));
  for (const auto* field : {"weight", "max_fails", "fail_timeout", "backup"})
    EXPECT_FALSE(body.contains(field)) << field;
}

TEST(Registration, SettingsMetadata_Wins) {
  auto s = settings();
  s.metadata_json = R"({"type":"embedding","babysitter":"none","models":["other"],"nested":{"a":[1,2.5,null]}})";
  const auto metadata = parsed(engine_registration(s, facts(), one_model()))["metadata"];
  EXPECT_EQ(metadata["type"], "embedding");
  EXPECT_EQ(metadata["babysitter"], "none");
  EXPECT_EQ(metadata["models"], json({"other"}));
  EXPECT_EQ(metadata["nested"], json::parse(R"({"a":[1,2.5,null]})"));
  EXPECT_EQ(metadata["parent_service"], "gpu1");
}

TEST(Registration, SettingsMetadataThatIsNoObject_IsLeftOut) {
  for (const auto* text : {"", "[]", "nonsense", "null"}) {
    auto s = settings();
    s.metadata_json = text;
    EXPECT_EQ(parsed(engine_registration(s, facts(), one_model())),
              parsed(engine_registration(settings(), facts(), one_model())));
  }
}

TEST(Registration, EngineOnAnotherPort_IsRegisteredThereWithItsAgentsHealthPage) {
  auto f = facts();
  f.engine_port = 6000;
  const auto body = engine_registration(settings(), f, one_model());
  EXPECT_EQ(spec_of(body).url, "http://10.0.0.7:6000");
  EXPECT_EQ(spec_of(body).port, 6000);
  EXPECT_EQ(parsed(body)["metadata"]["health_url"], "http://10.0.0.7:5002/health");
  EXPECT_EQ(spec_of(agent_registration(settings(), f)).port, 5002) << "the agent's pages stay where they are";
  f.engine_port = 0;
  EXPECT_EQ(spec_of(engine_registration(settings(), f, one_model())).port, 5001) << "not known yet";
}

TEST(Registration, PagesInHttps_AreRegisteredAsSuchAndTheEngineIsNot) {
  auto s = settings();
  s.pages_tls = true;
  EXPECT_EQ(spec_of(agent_registration(s, facts())).url, "https://10.0.0.7:5002");
  const auto spec = spec_of(engine_registration(s, facts(), one_model()));
  EXPECT_EQ(spec.url, "http://10.0.0.7:5001");
  EXPECT_EQ(wire::facts_of(spec.metadata_json).health_url, "https://10.0.0.7:5002/health");
  EXPECT_EQ(pages_url(s), "https://10.0.0.7:5002");
  EXPECT_EQ(pages_url(settings()), "http://10.0.0.7:5002");
  s.metadata_json = R"({"health_url":"https://proxy/gpu1"})";
  EXPECT_EQ(parsed(engine_registration(s, facts(), one_model()))["metadata"]["health_url"], "https://proxy/gpu1");
}

TEST(CheckMetadata, WhatARegistryWouldRefuse_IsNamedWithItsPlace) {
  const std::string url = "'services[1].metadata.health_url' must be ";
  const std::string http = url + "an http or https URL of at most 1024 bytes, got ";
  const std::string deepest = std::string(30, '[') + std::string(30, ']');
  struct Row {
    std::string metadata, message;
  };
  const Row rows[] = {
      {"{}", ""},
      {R"({"cache_type":"paged","health_url":"http://h:1/x"})", ""},
      {R"({"health_url":null})", ""},
      {R"({"health_url":""})", http + "\"\""},
      {R"({"health_url":"h:1/x"})", http + "\"h:1/x\""},
      {R"({"health_url":"ftp://h/x"})", http + "\"ftp://h/x\""},
      {R"({"health_url":"http://h/)" + std::string(1015, 'x') + "\"}", ""},
      {R"({"health_url":"http://h/)" + std::string(1016, 'x') + "\"}",
       http + "\"http://h/" + std::string(91, 'x') + "\""},
      {R"({"health_url":[5]})", url + "a string, got [5]"},
      {R"({"x":)" + deepest + "}", ""},
      {R"({"x":[)" + deepest + "]}", "'services[1].metadata' must not be nested deeper than 31 levels"},
      {R"({"x":")" + std::string(65'528, 'x') + "\"}", ""},
      {R"({"x":")" + std::string(65'529, 'x') + "\"}",
       "'services[1].metadata' must be at most 64 KiB as JSON, got 65537 bytes"},
      {"5", "'services[1].metadata' must be an object, got 5"},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.metadata.substr(0, 100));
    const auto metadata = json::parse(row.metadata);
    const auto checked = wire::check_metadata(metadata, "services[1].metadata");
    EXPECT_EQ(checked ? "" : checked.error().message, row.message);
    if (!checked || !metadata.is_object()) continue;
    auto s = settings();
    s.metadata_json = row.metadata;
    const auto sent = json::parse(spec_of(engine_registration(s, facts(), one_model())).metadata_json);
    EXPECT_TRUE(sent.contains("x") || !metadata.contains("x") || row.metadata.size() > 60'000);
  }
}

TEST(Registration, Ipv6Hosts_AreBracketedInUrls) {
  for (const auto* host : {"fd00::7", "[fd00::7]"}) {
    auto s = settings();
    s.host = host;
    const auto spec = spec_of(engine_registration(s, facts(), one_model()));
    EXPECT_EQ(spec.url, "http://[fd00::7]:5001");
    EXPECT_EQ(wire::endpoint_of(spec), (Endpoint{"fd00::7", 5001}));
  }
}

TEST(Registration, HeartbeatIntervalTheRegistryWouldRefuse_IsLeftOut) {
  for (const Duration interval : {Duration{}, Duration{99ms}, Duration{25h}}) {
    auto s = settings();
    s.heartbeat_interval = interval;
    EXPECT_EQ(spec_of(agent_registration(s, facts())).heartbeat_interval, std::nullopt);
  }
}

TEST(Registration, AgentEntry_IsNeverRoutedTo) {
  auto s = settings();
  s.service_type = "openai-api";
  EXPECT_NE(parsed(agent_registration(s, facts()))["metadata"]["type"], "openai-api");
}

TEST(Registration, AgentEntry_LeavesOutWhatIsNotKnown) {
  auto s = settings();
  s.path.clear();
  auto f = facts();
  f.started_at.clear();
  const auto metadata = parsed(agent_registration(s, f))["metadata"];
  for (const auto* key : {"config_file", "started_at", "last_exit"}) EXPECT_FALSE(metadata.contains(key)) << key;
}

TEST(Registration, LastExit_IsInTheAgentsMetadata) {
  auto f = facts();
  f.status = "unhealthy";
  f.restarts = 3;
  f.last_exit = ExitOutcome{ExitKind::signalled, 9, false, 1, {"first", "last \x1b[0m"}};
  f.last_exit_at = "2026-01-02T03:05:00.000000Z";
  const auto metadata = json::parse(spec_of(agent_registration(settings(), f)).metadata_json);
  EXPECT_EQ(metadata["state"], "unhealthy");
  EXPECT_EQ(metadata["restarts"], 3);
  EXPECT_EQ(metadata["last_exit"], json({{"kind", "signal"},
                                         {"text", "signal 9 (SIGKILL), rank 1"},
                                         {"at", "2026-01-02T03:05:00.000000Z"},
                                         {"last_lines", {"first", "last \x1b[0m"}}}));
}

TEST(Registration, LastLines_TheOldestAreDroppedBeyond16KiB) {
  auto f = facts();
  f.last_exit = ExitOutcome{};
  for (int i = 0; i < 20; ++i) f.last_exit->last_lines.push_back(std::to_string(i) + std::string(998, 'x'));
  const auto exit = parsed(agent_registration(settings(), f))["metadata"]["last_exit"];
  const auto lines = exit["last_lines"].get<std::vector<std::string>>();
  EXPECT_LE(exit["last_lines"].dump().size(), 16U * 1024);
  ASSERT_EQ(lines.size(), 16U);
  EXPECT_EQ(lines.back().substr(0, 2), "19");
  EXPECT_EQ(lines.front().substr(0, 2), "4x");
}

TEST(Registration, LastLines_CountedAsTheyAreWritten) {
  auto f = facts();
  f.last_exit = ExitOutcome{};
  f.last_exit->last_lines = {"kept?", std::string(3000, '\x01'), "kept"};  // six bytes each in JSON
  const auto exit = parsed(agent_registration(settings(), f))["metadata"]["last_exit"];
  EXPECT_EQ(exit["last_lines"], json({"kept"}));
}

TEST(Registration, InvalidUtf8_IsReplaced) {
  auto s = settings();
  s.path = "/models/\xff\xfe";
  auto f = facts();
  f.last_exit = ExitOutcome{};
  f.last_exit->last_lines = {"\xc3\x28 \xe4\xbd\xa0"};
  const auto metadata = json::parse(spec_of(agent_registration(s, f)).metadata_json);
  EXPECT_EQ(metadata["config_file"], "/models/\xef\xbf\xbd\xef\xbf\xbd");
  EXPECT_EQ(metadata["last_exit"]["last_lines"][0], "\xef\xbf\xbd( \xe4\xbd\xa0");
}

TEST(Registration, Metadata_NeverBeyondTheLimitAndWhatRoutesStays) {
  struct Row {
    const char* what;
    std::size_t models, id_bytes, object_bytes, own_keys, own_bytes;
    bool list_stays, all_models_stay, own_stays;
  };
  const Row rows[] = {
      {"fits", 10, 20, 100, 1, 10, true, true, true},
      {"large objects", 10, 20, 10'000, 1, 10, false, true, true},
      {"many models", 1000, 512, 0, 1, 10, false, false, true},
      {"large metadata", 10, 20, 0, 1, 70'000, false, true, false},
      {"many keys", 1000, 512, 0, 5, 10'000, false, false, false},
      {"small keys", 1000, 20, 0, 5000, 10, false, true, false},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.what);
    json list = json::array();
    for (std::size_t i = 0; i < row.models; ++i) {
      std::string id = std::to_string(i);
      id.resize(row.id_bytes, 'm');
      list.push_back({{"id", id}, {"card", std::string(row.object_bytes, 'c')}});
    }
    auto s = settings();
    json own = json::object();
    for (std::size_t i = 0; i < row.own_keys; ++i) own["key" + std::to_string(i)] = std::string(row.own_bytes, 'v');
    s.metadata_json = own.dump();
    const auto models = parse_model_list(list.dump());
    ASSERT_TRUE(models.has_value());
    const auto spec = spec_of(engine_registration(s, facts(), *models));
    EXPECT_LE(spec.metadata_json.size(), wire::kMaxMetadataBytes);
    EXPECT_EQ(spec.models.size(), row.models) << "our registry is told of all";
    const auto metadata = json::parse(spec.metadata_json);
    EXPECT_EQ(metadata["type"], "openai-api");
    EXPECT_EQ(metadata["parent_service"], "gpu1");
    EXPECT_EQ(metadata.contains("models_list"), row.list_stays);
    EXPECT_EQ(metadata["models"].size() == row.models, row.all_models_stay);
    EXPECT_GE(metadata["models"].size(), std::min<std::size_t>(row.models, 50));
    std::size_t kept = 0;
    for (const auto& [key, value] : own.items()) kept += metadata.contains(key) ? 1U : 0U;
    EXPECT_EQ(kept == row.own_keys, row.own_stays) << kept;
  }
}

TEST(Registration, AgentsMetadata_NeverBeyondTheLimitEither) {
  auto s = settings();
  s.path.assign(70'000, 'p');
  EXPECT_LE(spec_of(agent_registration(s, facts())).metadata_json.size(), wire::kMaxMetadataBytes);
  s.service_type.assign(70'000, 't');
  EXPECT_LE(spec_of(agent_registration(s, facts())).metadata_json.size(), wire::kMaxMetadataBytes);
  for (const auto* key : {"type", "models"}) {
    s.metadata_json = json{{key, std::string(70'000, 'v')}}.dump();
    const auto spec = spec_of(engine_registration(s, facts(), one_model()));
    EXPECT_LE(spec.metadata_json.size(), wire::kMaxMetadataBytes) << key;
  }
}

TEST(Registration, EngineEntryName) { EXPECT_EQ(engine_entry_name("gpu1"), "gpu1-server"); }

TEST(Registration, OutOfReach_ALoopbackHostAtARegistryElsewhere) {
  const struct {
    const char* host;
    const char* registry;
    bool out_of_reach;
  } rows[] = {
      {"localhost", "http://192.168.1.100:8081", true},
      {"127.0.0.2", "https://registry.example", true},
      {"[::1]", "http://[fd00::7]:8081", true},
      {"localhost", "http://127.0.0.1:8081", false},
      {"localhost", "http://localhost:8081", false},
      {"::1", "http://[::1]:8081", false},
      {"192.168.1.10", "http://192.168.1.100", false},
      {"gpu1.example", "http://registry.example", false},
      {"localhost", "", false},
  };
  for (const auto& row : rows) {
    ServiceSettings settings;
    settings.host = row.host;
    settings.registry_url = row.registry;
    EXPECT_EQ(is_out_of_reach(settings), row.out_of_reach) << row.host << " at " << row.registry;
  }
}

TEST(Heartbeat, LoadOnlyWithWhatIsKnown) {
  EXPECT_EQ(heartbeat_body("running", {}), R"({"status":"running"})");
  EXPECT_EQ(parsed(heartbeat_body("draining", {std::uint64_t{3}, {}, std::uint64_t{7}, {}, {}})),
            parsed(R"({"status":"draining","load":{"open_connections":3,"gpu_memory_bytes":7}})"));
  EXPECT_EQ(parsed(heartbeat_body("running", {std::uint64_t{0}, std::uint64_t{1} << 63U, {}, {}, {}})),
            parsed(R"({"status":"running","load":{"open_connections":0,"rss_bytes":9223372036854775808}})"));
  EXPECT_EQ(parsed(heartbeat_body("running", {{}, {}, {}, std::uint64_t{2}, std::uint64_t{0}})),
            parsed(R"({"status":"running","load":{"in_flight":2,"queue":0}})"));
  EXPECT_EQ(wire::parse_heartbeat(heartbeat_body("unhealthy", {std::uint64_t{3}, {}, {}, {}, {}})).status, "unhealthy");
}

TEST(ModelList, Forms) {
  const struct {
    const char* body;
    const char* ids;      ///< comma-separated; "-" = not a list
    const char* objects;  ///< "" = not looked at
  } rows[] = {
      {R"({"object":"list","data":[{"id":"a","created":1}]})", "a", R"([{"created":1,"id":"a"}])"},
      {R"([{"id":"a"},{"id":"b"}])", "a,b", R"([{"id":"a"},{"id":"b"}])"},
      {R"(["a","b"])", "a,b", R"([{"id":"a","object":"model"},{"id":"b","object":"model"}])"},
      {R"({"data":["a",{"id":"b"}]})", "a,b", ""},
      {R"({"data":[{"id":"a","n":1},{"id":"a","n":2}]})", "a", R"([{"id":"a","n":1}])"},
      {R"({"data":[{"id":7},{"name":"x"},null,[],"",{"id":""},"ok"]})", "ok", ""},
      {"[\"tab\\tbed\",\"ok\"]", "ok", ""},
      {R"({"data":[{"id":"模型"}]})", "模型", ""},
      {R"({"data":[]})", "-", ""},
      {R"({"data":[{"id":7}]})", "-", ""},
      {R"({"data":{"id":"a"}})", "-", ""},
      {R"({"models":["a"]})", "-", ""},
      {R"({"error":"InfiniLM server not ready"})", "-", ""},
      {R"("a")", "-", ""},
      {"", "-", ""},
      {"<html>", "-", ""},
      {R"({"data":["a"])", "-", ""},
  };
  for (const auto& row : rows) {
    const auto list = parse_model_list(row.body);
    std::string ids = list ? "" : "-";
    if (list) {
      for (const auto& id : list->ids) ids += (ids.empty() ? "" : ",") + id;
    }
    EXPECT_EQ(ids, row.ids) << row.body;
    if (list && *row.objects != 0) {
      EXPECT_EQ(list->objects_json, row.objects);
    }
  }
}

TEST(ModelList, Limits) {
  json many = json::array();
  for (int i = 0; i < 1200; ++i) many.push_back(std::to_string(i));
  EXPECT_EQ(parse_model_list(many.dump())->ids.size(), wire::kMaxModels);
  const std::string longest(wire::kMaxModelBytes, 'x');
  EXPECT_EQ(parse_model_list(json({longest, longest + "y"}).dump())->ids, std::vector<std::string>{longest});
}

TEST(ModelList, TheDeepestThatIsTaken_CanBeRegistered) {
  for (const bool bare : {true, false}) {
    std::optional<ModelList> deepest;
    for (std::size_t depth = 0; depth < 40; ++depth) {
      const std::string list =
          R"([{"id":"a","x":)" + std::string(depth, '[') + std::string(depth, ']') + (depth == 0 ? "1}]" : "}]");
      auto models = parse_model_list(bare ? list : R"({"data":)" + list + "}");
      if (models) deepest = std::move(models);
    }
    ASSERT_TRUE(deepest.has_value());
    EXPECT_GT(deepest->objects_json.size(), 60U);
    EXPECT_EQ(spec_of(engine_registration(settings(), facts(), *deepest)).models, std::vector<std::string>{"a"});
  }
}

TEST(Generation, IsTakenFromAnswersAndPutIntoBodies) {
  EXPECT_EQ(generation_in(R"({"message":"m","service":{"name":"a","generation":1000001},"revision":7})"), 1'000'001U);
  EXPECT_EQ(generation_in(R"({"message":"Heartbeat received","generation":5})"), 5U);
  for (const auto* none : {"", "[]", "{}", R"({"generation":"5"})", R"({"generation":-5})", R"({"service":{}})"}) {
    EXPECT_EQ(generation_in(none), std::nullopt) << none;
  }
  EXPECT_EQ(with_generation(R"({"status":"running"})", 5), R"({"status":"running","generation":5})");
  EXPECT_EQ(*wire::parse_heartbeat(with_generation(heartbeat_body("running", {}), 5)).generation, 5U);
}

}  // namespace
}  // namespace svc::agent
