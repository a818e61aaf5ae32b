#include "agent/core/settings_document.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "agent/core/service_settings.hpp"

namespace svc::agent {
namespace {

using nlohmann::json;

struct Outcome {
  json file;
  OptionTable::KeyPlaces places;
  std::string error;
};

Outcome read(const std::string& text, const std::string& path = "dir/service.toml") {
  Outcome outcome;
  outcome.file = json::parse(text);
  const auto done = to_agent_sections(outcome.file, path, outcome.places);
  if (!done) outcome.error = done.error().message;
  return outcome;
}

void expect_sections(const std::string& flat, const std::string& sections) {
  const Outcome outcome = read(flat);
  EXPECT_EQ(outcome.error, "") << flat;
  EXPECT_EQ(outcome.file, json::parse(sections)) << flat;
}

TEST(SettingsDocument, FlatFile_BecomesSections) {
  expect_sections(R"({})", R"({"agent": {}})");
  expect_sections(
      R"({"name": "g", "host": "10.0.0.1", "port": 8100, "registry_url": "http://r", "router_url": "http://o",
                      "babysitter": {"max_restarts": 3, "restart_delay": 5, "heartbeat_interval": 30},
                      "backend": {"type": "command", "command": "a b", "args": ["c d"], "work_dir": "/w",
                                  "env": {"A": "1"}},
                      "metadata": {"cache_type": "paged", "deep": {"x": [1]}},
                      "agent": {"startup_timeout": "5m"}})",
      R"({"agent": {"name": "g", "host": "10.0.0.1", "port": 8100, "registry_url": "http://r",
                                "router_url": "http://o", "max_restarts": 3, "restart_delay": 5,
                                "heartbeat_interval": 30, "service_type": "command", "command": "a b",
                                "args": ["c d"], "work_dir": "/w", "env": {"A": "1"}, "startup_timeout": "5m"},
                      "metadata": {"cache_type": "paged", "deep": {"x": [1]}}})");
}

TEST(SettingsDocument, EachKind_HasItsWordForTheModel) {
  struct Row {
    std::string type, key;
  };
  const Row rows[] = {{"infinilm", "model_path"}, {"infinilm", "model"},  {"infinilm-rust", "config_file"},
                      {"vllm", "model"},          {"vLLM", "path"},       {"sglang", "model"},
                      {"sglang", "model_path"},   {"llama-cpp", "model"}, {"command", "path"}};
  for (const Row& row : rows) {
    const json flat = {{"backend", {{"type", row.type}, {row.key, "/m"}}}};
    Outcome outcome = read(flat.dump());
    EXPECT_EQ(outcome.error, "") << row.type;
    EXPECT_EQ(outcome.file, json({{"agent", {{"service_type", row.type}, {"path", "/m"}}}}));
    EXPECT_EQ(outcome.places["path"], "backend." + row.key);
  }
  expect_sections(R"({"backend": {"type": "mock", "models": ["a", "b"]}})",
                  R"({"agent": {"service_type": "mock", "models": ["a", "b"]}})");
}

TEST(SettingsDocument, Places_AreWhereTheUserWrote) {
  const Outcome outcome = read(R"({"port": 1, "babysitter": {"restart_delay": 5},
                                   "backend": {"type": "vllm", "model": "m"}, "agent": {"tp": 2}})");
  EXPECT_EQ(outcome.places, (OptionTable::KeyPlaces{{"port", "port"},
                                                    {"restart_delay", "babysitter.restart_delay"},
                                                    {"service_type", "backend.type"},
                                                    {"path", "backend.model"}}));
}

TEST(SettingsDocument, EngineFile_IsHandedToTheEngine) {
  const std::string engine = R"({"Qwen3-32B": {"path": "/m", "gpus": [0, 1]}, "other": {"path": "/o"}})";
  Outcome outcome = read(engine, "/etc/gpu1.toml");
  EXPECT_EQ(outcome.error, "");
  EXPECT_EQ(outcome.file, json::parse(R"({"agent": {"service_type": "infinilm-rust", "path": "/etc/gpu1.toml"}})"));
}

TEST(SettingsDocument, JsonFiles_PassAsTheyAre) {
  for (const char* text : {R"({"agent": {"port": 1}, "metadata": {"a": 1}})", R"({"Qwen": {"path": "/m"}})",
                           R"({"backend": {"comand": 1}})"}) {
    Outcome outcome = read(text, "service.json");
    EXPECT_EQ(outcome.error, "");
    EXPECT_EQ(outcome.file, json::parse(text));
  }
}

TEST(SettingsDocument, Faults_NameThePlaceAsWritten) {
  struct Row {
    std::string text, error;
  };
  const Row rows[] = {
      {R"({"prot": 1})", "unknown key 'prot'; did you mean 'port'?"},
      {R"({"bakend": {"type": "vllm"}})", "unknown key 'bakend'; did you mean 'backend'?"},
      {R"({"port": 1, "Qwen": {"path": "/m"}})", "unknown key 'Qwen'"},
      {R"({"backend": {"type": "command", "comand": "x"}})", "unknown key 'backend.comand'; did you mean 'command'?"},
      {R"({"backend": {"type": "command", "models": ["x"]}})", "unknown key 'backend.models'"},
      {R"({"backend": {"type": "vllm", "config_file": "x"}})", "unknown key 'backend.config_file'"},
      {R"({"backend": {"command": "x"}})", "Missing required field: backend.type"},
      {R"({"backend": {"type": 5}})", "'backend.type' must be a string, got 5"},
      {R"({"backend": {"type": "vlm"}})", "'backend.type' " + unknown_engine_kind("vlm")},
      {R"({"backend": 5})", "'backend' must be an object, got 5"},
      {R"({"babysitter": []})", "'babysitter' must be an object, got an array"},
      {R"({"babysitter": {"restart_dely": 1}})",
       "unknown key 'babysitter.restart_dely'; did you mean 'restart_delay'?"},
      {R"({"metadata": "x"})", "'metadata' must be an object, got \"x\""},
      {R"({"agent": 1})", "'agent' must be an object, got 1"},
      {R"({"port": 1, "agent": {"port": 2}})", "'agent.port' and 'port' say the same thing"},
      {R"({"backend": {"type": "vllm", "model": "a", "path": "b"}})",
       "'backend.path' and 'backend.model' say the same thing"},
      {R"({"agent": {"path": "a"}, "backend": {"type": "vllm", "model": "b"}})",
       "'agent.path' and 'backend.model' say the same thing"},
  };
  for (const Row& row : rows) EXPECT_EQ(read(row.text).error, row.error) << row.text;
}

}  // namespace
}  // namespace svc::agent
