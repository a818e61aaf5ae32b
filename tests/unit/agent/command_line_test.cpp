#include "agent/core/command_line.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

namespace svc::agent {
namespace {

using Words = std::vector<std::string>;

ServiceSettings service(const std::string& type) {
  ServiceSettings settings;
  settings.service_type = type;
  settings.port = 5001;
  settings.name = "gpu1";
  settings.host = "192.168.1.10";
  return settings;
}

/// The one command as a person would read it, or the error.
std::string shown(const ServiceSettings& settings) {
  const auto ranks = command_lines(settings);
  if (!ranks) return "error: " + ranks.error().message;
  std::string out;
  for (const RankCommand& rank : *ranks) out += (out.empty() ? "" : "\n") + printable(rank.argv);
  return out;
}

struct CommandRow {
  std::string type;
  std::function<void(ServiceSettings&)> change;
  std::string command;
};

void expect_all(const std::vector<CommandRow>& rows) {
  for (const CommandRow& row : rows) {
    ServiceSettings settings = service(row.type);
    row.change(settings);
    EXPECT_EQ(shown(settings), row.command) << row.type;
  }
}

void model(ServiceSettings& s) { s.path = "/models/Qwen3-32B"; }

TEST(CommandLine, EachKind_HasItsOwnFlags) {
  expect_all({
      {"infinilm", model,
       "python3 -m infinilm.server.inference_server --model /models/Qwen3-32B --host 0.0.0.0 --port 5001 "
       "--enable-paged-attn"},
      {"InfiniLM",
       [](ServiceSettings& s) {
         model(s);
         s.launch_script = "/opt/InfiniLM/inference_server.py";
         s.command = "/opt/venv/bin/python3 -u";
         s.device = "nvidia";
         s.tp = 4;
         s.max_batch = 16;
         s.max_tokens = 1024;
         s.paged_attention = false;
         s.args = {"--attn", "flash attn"};
       },
       "/opt/venv/bin/python3 -u /opt/InfiniLM/inference_server.py --model /models/Qwen3-32B --device nvidia --tp 4 "
       "--host 0.0.0.0 --port 5001 --max-batch-size 16 --max-new-tokens 1024 --attn 'flash attn'"},
      {"infinilm",
       [](ServiceSettings& s) {
         model(s);
         s.flags = "legacy";
         s.launch_script = "/opt/InfiniLM/scripts/launch_server.py";
         s.device = "nvidia";
         s.tp = 1;
         s.max_batch = 3;
         s.max_tokens = 512;
         s.awq = true;
         s.request_timeout_s = 300;
         s.max_concurrency = 8;
       },
       "python3 /opt/InfiniLM/scripts/launch_server.py --port 5001 --host 0.0.0.0 --model-path /models/Qwen3-32B "
       "--dev nvidia --ndev 1 --max-batch 3 --max-tokens 512 --awq --request-timeout 300 --max-concurrency 8"},
      {"InfiniLM-Rust", [](ServiceSettings& s) { s.path = "gpu1.toml"; }, "xtask service gpu1.toml -p 5001"},
      {"infinilm-rust",
       [](ServiceSettings& s) {
         s.path = "gpu1.toml";
         s.command = "cargo xtask";
         s.args = {"--think"};
       },
       "cargo xtask service gpu1.toml -p 5001 --think"},
      {"vllm", model, "vllm serve /models/Qwen3-32B --host 0.0.0.0 --port 5001"},
      {"vLLM",
       [](ServiceSettings& s) {
         model(s);
         s.tp = 8;
         s.pp = 2;
       },
       "vllm serve /models/Qwen3-32B --host 0.0.0.0 --port 5001 --tensor-parallel-size 8 --pipeline-parallel-size 2"},
      {"sglang",
       [](ServiceSettings& s) {
         model(s);
         s.tp = 2;
       },
       "python3 -m sglang.launch_server --model-path /models/Qwen3-32B --host 0.0.0.0 --port 5001 --tp 2"},
      {"llama-cpp", [](ServiceSettings& s) { s.path = "m.gguf"; },
       "llama-server --model m.gguf --host 0.0.0.0 --port 5001"},
      {"llama-cpp",
       [](ServiceSettings& s) {
         s.path = "m.gguf";
         s.command = "'/opt/my venv/bin/python3' -m llama_cpp.server";
         s.args = {"--n_ctx", "2048"};
       },
       "'/opt/my venv/bin/python3' -m llama_cpp.server --model m.gguf --host 0.0.0.0 --port 5001 --n_ctx 2048"},
      {"sim", [](ServiceSettings&) {}, "infinilm-sim --host 0.0.0.0 --port 5001"},
      {"mock",
       [](ServiceSettings& s) {
         s.models = {"a b", "c"};
         s.host = "127.0.0.1";
       },
       "infinilm-sim --host 127.0.0.1 --port 5001 --model 'a b' --model c"},
      {"command", [](ServiceSettings& s) { s.command = "./engine"; }, "./engine"},
      {"command", [](ServiceSettings& s) { s.command = "'/opt/my engine/run' -v"; }, "'/opt/my engine/run' -v"},
  });
}

TEST(CommandLine, Arguments_StayWhole) {
  ServiceSettings settings = service("command");
  settings.command = "engine";
  settings.args = {"a b", "", "'", "*", "$HOME", "--kv={\"kv_role\": \"kv_producer\"}", "x;rm -rf /"};
  const auto ranks = command_lines(settings);
  ASSERT_TRUE(ranks.has_value());
  Words expected = {"engine"};
  expected.insert(expected.end(), settings.args.begin(), settings.args.end());
  EXPECT_EQ(ranks->front().argv, expected);
}

TEST(CommandLine, Placeholders_AreExpandedEverywhere) {
  ServiceSettings settings = service("command");
  settings.command = "/opt/${NAME}/engine";
  settings.args = {"--bind=${HOST}:${PORT}", "$${PORT}", "$PORT", "$$", "${RANK}", "a$"};
  settings.env = {{"RANK", "${RANK}"}, {"PLAIN", "1"}};
  settings.work_dir = "/run/${NAME}-${RANK}";
  settings.pp = 2;
  const auto ranks = command_lines(settings);
  ASSERT_TRUE(ranks.has_value());
  ASSERT_EQ(ranks->size(), 2U);
  for (const int rank : {0, 1}) {
    const std::string number = std::to_string(rank);
    const RankCommand& command = (*ranks)[static_cast<std::size_t>(rank)];
    EXPECT_EQ(command.argv,
              (Words{"/opt/gpu1/engine", "--bind=192.168.1.10:5001", "${PORT}", "$PORT", "$$", number, "a$"}));
    EXPECT_EQ(command.env, (Environment{{"RANK", number}, {"PLAIN", "1"}}));
    EXPECT_EQ(command.work_dir, "/run/gpu1-" + number);
  }
}

TEST(CommandLine, WhatIsExpanded_IsNotExpandedAgain) {
  ServiceSettings settings = service("command");
  settings.command = "engine";
  settings.name = "${PORT}";
  settings.args = {"${NAME}"};
  EXPECT_EQ(shown(settings), "engine '${PORT}'");
}

TEST(CommandLine, PipelineRanks_MeetAtOnePort) {
  ServiceSettings settings = service("infinilm");
  model(settings);
  settings.pp = 2;
  const std::string start = "python3 -m infinilm.server.inference_server --model /models/Qwen3-32B --pp 2 --node-rank ";
  const std::string end = " --master-addr 127.0.0.1 --master-port 15001 --host 0.0.0.0 --port 5001 --enable-paged-attn";
  EXPECT_EQ(shown(settings), start + "0" + end + "\n" + start + "1" + end);
}

TEST(CommandLine, RendezvousPort_IsWithinThePorts) {
  ServiceSettings settings;
  for (const auto& [port, meets] : std::vector<std::pair<std::uint16_t, std::uint16_t>>{
           {1, 10001}, {55535, 65535}, {55536, 45536}, {65534, 55534}}) {
    settings.port = port;
    EXPECT_EQ(rendezvous_port(settings), meets);
  }
  settings.master_port = 29500;
  EXPECT_EQ(rendezvous_port(settings), 29500);
}

TEST(CommandLine, ListenAddress_FollowsTheHost) {
  for (const auto& [host, address] : std::vector<std::pair<std::string, std::string>>{{"localhost", "127.0.0.1"},
                                                                                      {"gpu1.example", "0.0.0.0"},
                                                                                      {"192.168.1.10", "0.0.0.0"},
                                                                                      {"127.0.0.1", "127.0.0.1"},
                                                                                      {"127.0.0.2", "127.0.0.2"},
                                                                                      {"::1", "::1"},
                                                                                      {"[::1]", "::1"},
                                                                                      {"fd00::7", "::"}}) {
    ServiceSettings settings;
    settings.host = host;
    EXPECT_EQ(listen_address(settings), address) << host;
  }
  ServiceSettings settings;
  settings.listens_on = "::";
  EXPECT_EQ(listen_address(settings), "::");
}

TEST(CommandLine, WorkDirOfLegacy_IsAboveTheScripts) {
  for (const auto& [script, folder] :
       std::vector<std::pair<std::string, std::string>>{{"/opt/InfiniLM/scripts/launch_server.py", "/opt/InfiniLM"},
                                                        {"/scripts/launch_server.py", "/"},
                                                        {"/launch_server.py", "/"},
                                                        {"scripts/launch_server.py", ""}}) {
    ServiceSettings settings = service("infinilm");
    model(settings);
    settings.flags = "legacy";
    settings.launch_script = script;
    EXPECT_EQ(command_lines(settings)->front().work_dir, folder) << script;
    settings.work_dir = "/own";
    EXPECT_EQ(command_lines(settings)->front().work_dir, "/own");
  }
}

TEST(CommandLine, Faults_NameTheSetting) {
  const auto none = [](ServiceSettings&) {};
  const auto with_pp = [](ServiceSettings& s) {
    model(s);
    s.pp = 2;
  };
  expect_all({
      {"command", none, "error: command needs 'command' (the program)"},
      {"infinilm", none, "error: infinilm needs 'path' (the model folder)"},
      {"infinilm-rust", none, "error: infinilm-rust needs 'path' (the engine's TOML)"},
      {"vllm", none, "error: vllm needs 'path' (the model)"},
      {"sglang", none, "error: sglang needs 'path' (the model)"},
      {"llama-cpp", none, "error: llama-cpp needs 'path' (the model's GGUF file)"},
      {"vlm", none, "error: service_type " + unknown_engine_kind("vlm")},
      {"sglang", with_pp, "error: pp must be 1 for sglang, got 2"},
      {"llama-cpp", with_pp, "error: pp must be 1 for llama-cpp, got 2"},
      {"sim", with_pp, "error: pp must be 1 for sim, got 2"},
      {"infinilm",
       [&](ServiceSettings& s) {
         with_pp(s);
         s.flags = "legacy";
       },
       "error: pp must be 1 for infinilm with flags = legacy, got 2"},
      {"infinilm",
       [](ServiceSettings& s) {
         model(s);
         s.flags = "legacy";
       },
       "error: infinilm needs 'launch_script' (with flags = legacy: the script)"},
      {"infinilm",
       [](ServiceSettings& s) {
         model(s);
         s.flags = "older";
       },
       "error: flags must be current or legacy, got 'older'"},
      {"command", [](ServiceSettings& s) { s.command = "'a"; }, "error: command has an open quote"},
      {"command", [](ServiceSettings& s) { s.command = " "; }, "error: command must name a program"},
      {"command", [](ServiceSettings& s) { s.command = "''"; }, "error: command must name a program"},
      {"sim", [](ServiceSettings& s) { s.args = {"${PROT}"}; }, "error: args: unknown ${PROT}; did you mean ${PORT}?"},
      {"sim", [](ServiceSettings& s) { s.args = {"${WHATEVER}"}; },
       "error: args: unknown ${WHATEVER}; there are ${HOST}, ${NAME}, ${PORT}, ${RANK}, and $${ is a literal ${"},
      {"sim", [](ServiceSettings& s) { s.args = {"${PORT"}; }, "error: args: ${ without }; $${ is a literal ${"},
      {"sim", [](ServiceSettings& s) { s.env["A"] = "${}"; },
       "error: env.A: unknown ${}; there are ${HOST}, ${NAME}, ${PORT}, ${RANK}, and $${ is a literal ${"},
      {"sim", [](ServiceSettings& s) { s.work_dir = "${X"; }, "error: work_dir: ${ without }; $${ is a literal ${"},
      {"sim", [](ServiceSettings& s) { s.args = {std::string("a\0b", 3)}; },
       "error: args must not have a NUL character"},
  });
}

TEST(UnusedSettings, WhatTheKindIgnores_IsNamed) {
  ServiceSettings settings = service("vllm");
  model(settings);
  EXPECT_EQ(unused_settings(settings), Words{});
  settings.device = "nvidia";
  settings.tp = 2;
  settings.awq = true;
  settings.max_concurrency = 3;
  EXPECT_EQ(unused_settings(settings), (Words{"device", "awq"}));
  settings.service_type = "infinilm";
  EXPECT_EQ(unused_settings(settings), Words{"awq"});
  settings.flags = "legacy";
  EXPECT_EQ(unused_settings(settings), Words{});
  settings.service_type = "infinilm-rust";
  EXPECT_EQ(unused_settings(settings), (Words{"flags", "device", "tp", "awq"}));
}

TEST(Printable, Command_CanBePasted) {
  EXPECT_EQ(printable({"vllm", "serve", "a b", "", "it's"}), "vllm serve 'a b' '' 'it'\\''s'");
}

}  // namespace
}  // namespace svc::agent
