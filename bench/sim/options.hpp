// What infinilm-sim is told on its command line.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace svc::sim {

enum class EngineKind { infinilm, vllm, rust };  ///< rust: InfiniLM-Rust, "infinilm-rust" on the command line
enum class CacheKind { paged, fixed };           ///< fixed: "static" on the command line
enum class PathKind { both, v1, bare };          ///< /v1/chat/completions, /chat/completions or both
enum class Pace {
  step,   ///< as the engine: all running requests get a token at the end of each step
  each,   ///< every request has its own clock, the phases spread evenly: many small engines in one process
  model,  ///< a step is prefill chunks beside decodes, and takes what bench/routing's EngineModel says
};

struct Options {
  std::string host = "127.0.0.1";
  std::uint16_t port = 0;
  std::string port_file;
  int control_port = -1;  ///< another port for /sim/... alone, which no fault touches; 0 = any, -1 = none
  std::string control_port_file;

  EngineKind kind = EngineKind::infinilm;
  std::vector<std::string> models = {"sim-model"};  ///< not empty; an infinilm is the first for any other name
  std::string name;                                 ///< not empty: every answer carries "x-sim-name: NAME"
  PathKind path = PathKind::both;
  double ready_after = 0;  ///< seconds until the port is bound
  double keepalive = 5;    ///< seconds after which an idle connection is closed (uvicorn's default); 0 = never
  double request_timeout = 1000;
  std::size_t max_body_bytes = 64U << 20U;

  std::uint32_t max_batch = 8;
  CacheKind cache = CacheKind::paged;
  std::uint32_t num_blocks = 512;  ///< 0 = memory without end, and no prefix cache
  std::uint32_t block_size = 256;  ///< tokens
  std::uint32_t max_cache_len = 4096;
  double prefill_us_per_token = 0;
  double decode_us = 0;
  Pace pace = Pace::step;
  double speed = 1;            ///< Pace::model: its times are divided by this
  std::uint32_t chunk = 1024;  ///< Pace::model: prefill tokens of a step at most
  std::uint32_t tokens = 16;

  std::size_t answer_bytes = 0;  ///< the body of a plain answer is exactly as long; 0 = as the tokens make it
  std::size_t chunk_bytes = 0;   ///< "data: {...}\n\n" is exactly as long; 0 = likewise
  std::uint32_t merge = 16;      ///< with decode_us 0: most events in one write
  bool stamp = false;
  bool role_at_once = false;  ///< vllm: the event with the role comes with the head

  std::vector<std::string> faults;
  std::uint64_t seed = 1;
  std::size_t record = 100;     ///< request heads that are kept for GET /sim/requests
  std::size_t record_body = 0;  ///< bytes of each request's body that are kept with them
};

/// Exits the process (after a message or the help text) unless there is something to run: then returns true.
bool parse_options(int argc, char** argv, Options& options, int& exit_code);

}  // namespace svc::sim
