// Everything that one supervised service is made of, as values: from flags, environment, a TOML file or an entry of a
// services file. Plain and copyable.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "common/core/clock.hpp"
#include "common/core/result.hpp"

namespace svc::agent {

enum class EngineKind : std::uint8_t { command, infinilm, infinilm_rust, vllm, sglang, llama_cpp, sim };

/// "infinilm-rust"; as in configuration files.
std::string_view to_string(EngineKind kind);
/// Caseless, '_' as '-'; "mock" is sim. Also the earlier agents' spellings ("InfiniLM-Rust", "vLLM"). False: no such kind.
bool parse_engine_kind(std::string_view text, EngineKind& kind);
/// For a text that is none, to be put behind the setting's name: "must be one of ..., got 'vlm'; did you mean 'vllm'?"
std::string unknown_engine_kind(std::string_view text);

using Environment = std::map<std::string, std::string, std::less<>>;

struct ServiceSettings {
  // Who and where.
  std::string name;                ///< "" = "{type}-{port}" in lower case, given by the configuration's validate()
  std::string host = "localhost";  ///< what is registered, and where the engine is asked
  std::string listens_on;    ///< "0.0.0.0" or "::" when that was the file's host, and `host` is registered instead
  std::uint16_t port = 0;    ///< the engine's; the agent's own pages are on port+1
  std::string registry_url;  ///< without a trailing /services; "" = registered nowhere
  // The engine.
  std::string service_type = "command";
  std::string path;               ///< model folder; for infinilm-rust the TOML of the engine
  std::string command;            ///< program (a path, or a name looked up in PATH), perhaps with first arguments, as
                                  ///< split_words takes it: "cargo xtask"; "" = the kind's own
  std::vector<std::string> args;  ///< further arguments, each whole
  std::string work_dir;           ///< "" = the agent's
  Environment env;                ///< added to the agent's own environment
  std::string launch_script;      ///< infinilm: the inference_server.py
  std::string flags = "current";  ///< infinilm: "current" or "legacy" names of flags
  std::string device;             ///< "" = the engine's default
  std::int64_t tp = 0;            ///< devices an instance spans; 0 = the engine's default
  std::int64_t pp = 1;            ///< ranks (processes) of one instance
  std::string master_addr = "127.0.0.1";
  std::uint16_t master_port = 0;  ///< rendezvous of the ranks; 0 = the engine's port + 10000 (or - 10000)
  std::int64_t max_batch = 0;     ///< 0 = the engine's default, as the two below
  std::int64_t max_tokens = 0;
  std::int64_t request_timeout_s = 0;
  std::int64_t max_concurrency = 0;  ///< for metadata.max_concurrency, which routers read; 0 = not stated
  bool paged_attention = true;
  bool awq = false;
  std::string engine_api_key_file;  ///< with the key that the engine asks for; "" = none
  // Health.
  Duration startup_timeout{std::chrono::minutes(30)};
  Duration probe_interval{std::chrono::seconds(5)};  ///< of the engine's /health once it is ready
  Duration probe_timeout{std::chrono::seconds(5)};
  std::int64_t probe_failures = 3;       ///< in a row: the engine hangs; 0 = liveness is not watched
  std::string health_path = "/health";   ///< 404 there counts as alive (engines without it)
  Duration completion_probe_interval{};  ///< 0 = no one-token completions
  Duration completion_probe_timeout{std::chrono::seconds(60)};
  // Restart and stop.
  std::int64_t max_restarts = 10'000;  ///< in all; the earlier agents' setting
  Duration restart_delay{};            ///< constant wait; 0 = backoff below
  Duration restart_backoff_first{std::chrono::seconds(1)};
  Duration restart_backoff_max{std::chrono::seconds(60)};
  Duration healthy_after{std::chrono::minutes(10)};  ///< of health: failures are forgotten
  std::int64_t start_limit = 5;  ///< failures within start_limit_interval, then failed; 0 = no limit
  Duration start_limit_interval{std::chrono::minutes(10)};
  Duration stop_grace{std::chrono::seconds(10)};     ///< between SIGTERM and SIGKILL
  Duration drain_timeout{std::chrono::seconds(30)};  ///< open requests get this long before SIGTERM
  // The registry.
  Duration heartbeat_interval{std::chrono::seconds(10)};
  std::int64_t weight = 1;
  bool weight_given = false;    ///< weight is sent only then; the next three too
  std::int64_t max_fails = -1;  ///< -1 = not given
  Duration fail_timeout{};      ///< 0 = not given
  bool backup = false;
  std::string metadata_json = "{}";  ///< compact object, merged into NAME-server's metadata
  bool pages_tls = false;            ///< the agent's own pages are HTTPS; as the agent's certificate says
  std::vector<std::string> models;   ///< sim/mock: what it serves
  // Output.
  std::string log_file;  ///< "" = logs/{name}.log
};

/// "vllm-5001": the service type in lower case, and the port.
std::string default_name(const ServiceSettings& settings);

/// What no single value can tell, apart from the command line (command_lines() checks that). The name is filled in by now.
/// Errors are one sentence that begins with the setting's name.
Result<void> check_service(const ServiceSettings& settings);

}  // namespace svc::agent
