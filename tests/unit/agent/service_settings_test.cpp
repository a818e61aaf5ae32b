#include "agent/core/service_settings.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <string>

namespace svc::agent {
namespace {

using namespace std::chrono_literals;

TEST(EngineKindName, EverySpelling_IsItsKind) {
  struct Row {
    const char* text;
    EngineKind kind;
    const char* printed;
  };
  const Row rows[] = {
      {"command", EngineKind::command, "command"},
      {"InfiniLM", EngineKind::infinilm, "infinilm"},
      {"InfiniLM-Rust", EngineKind::infinilm_rust, "infinilm-rust"},
      {"infinilm_rust", EngineKind::infinilm_rust, "infinilm-rust"},
      {"vLLM", EngineKind::vllm, "vllm"},
      {"SGLang", EngineKind::sglang, "sglang"},
      {"llama-cpp", EngineKind::llama_cpp, "llama-cpp"},
      {"llama.cpp", EngineKind::llama_cpp, "llama-cpp"},
      {"sim", EngineKind::sim, "sim"},
      {"mock", EngineKind::sim, "sim"},
  };
  for (const Row& row : rows) {
    EngineKind kind{};
    ASSERT_TRUE(parse_engine_kind(row.text, kind)) << row.text;
    EXPECT_EQ(kind, row.kind) << row.text;
    EXPECT_EQ(to_string(kind), row.printed);
  }
}

TEST(EngineKindName, Unknown_IsToldWithTheNearest) {
  EngineKind kind = EngineKind::sim;
  for (const char* text : {"", "vll", "infinilm rust", "command "}) EXPECT_FALSE(parse_engine_kind(text, kind)) << text;
  EXPECT_EQ(kind, EngineKind::sim);
  const std::string list = "must be one of command, infinilm, infinilm-rust, vllm, sglang, llama-cpp, sim, mock, got ";
  EXPECT_EQ(unknown_engine_kind("vlm"), list + "'vlm'; did you mean 'vllm'?");
  EXPECT_EQ(unknown_engine_kind("INFINILM_RUTS"), list + "'INFINILM_RUTS'; did you mean 'infinilm-rust'?");
  EXPECT_EQ(unknown_engine_kind("something"), list + "'something'");
}

TEST(DefaultName, Name_IsTypeAndPort) {
  ServiceSettings settings;
  settings.port = 5001;
  EXPECT_EQ(default_name(settings), "command-5001");
  settings.service_type = "InfiniLM_Rust";
  EXPECT_EQ(default_name(settings), "infinilm-rust-5001");
}

TEST(CheckService, Faults_AreOneSentenceEach) {
  const std::string long_name(247, 'n');
  struct Row {
    std::function<void(ServiceSettings&)> change;
    std::string message;
  };
  const Row rows[] = {
      {[](ServiceSettings&) {}, ""},
      {[](ServiceSettings& s) { s.port = 0; },
       "port is required: --port 5001, or 'port' in the configuration file, or --services FILE"},
      {[](ServiceSettings& s) { s.port = 65535; },
       "port 65535 leaves none for the agent's own pages, which are on the next one"},
      {[](ServiceSettings& s) { s.port = 65534; }, ""},
      {[](ServiceSettings& s) { s.service_type = "vlm"; }, "service_type " + unknown_engine_kind("vlm")},
      {[](ServiceSettings& s) { s.name = "a/b"; },
       "name must not have '/' nor begin with '.': files are named after it, got 'a/b'"},
      {[](ServiceSettings& s) { s.name = ".."; },
       "name must not have '/' nor begin with '.': files are named after it, got '..'"},
      {[&](ServiceSettings& s) { s.name = long_name; }, "name must be at most 246 bytes, got 247"},
      {[&](ServiceSettings& s) { s.name = long_name.substr(1); }, ""},
      {[](ServiceSettings& s) { s.host = "a b"; }, "host must be a DNS name, an IPv4 or an IPv6 address, got 'a b'"},
      {[](ServiceSettings& s) { s.host = "[::1]"; }, ""},
      {[](ServiceSettings& s) { s.health_path = "health"; },
       "health_path must begin with '/' and have neither blanks nor '#', got 'health'"},
      {[](ServiceSettings& s) { s.restart_backoff_max = 10ms; },
       "restart_backoff_max must not be shorter than restart_backoff_first"},
      {[](ServiceSettings& s) { s.fail_timeout = 1ms; }, ""},
      {[](ServiceSettings& s) { s.fail_timeout = 999us; },
       "fail_timeout must be 1ms or more (0 = not stated), got '999us'"},
      {[](ServiceSettings& s) { s.metadata_json = "{\"a\":\"" + std::string(65536, 'x') + "\"}"; },
       "metadata must be at most 64 KiB as JSON, got 65544 bytes"},
  };
  for (const Row& row : rows) {
    ServiceSettings settings;
    settings.port = 5001;
    settings.name = "gpu1";
    row.change(settings);
    const auto checked = check_service(settings);
    EXPECT_EQ(checked ? "" : checked.error().message, row.message);
  }
}

TEST(CheckService, ControlCharactersInAName_AreRefused) {
  ServiceSettings settings;
  settings.port = 5001;
  settings.name = "a\nb";
  EXPECT_TRUE(check_service(settings).has_error());
}

}  // namespace
}  // namespace svc::agent
