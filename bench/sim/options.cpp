#include "bench/sim/options.hpp"

#include <CLI/CLI.hpp>
#include <iostream>
#include <limits>
#include <map>

namespace svc::sim {
namespace {

template <class Enum>
void add_choice(CLI::App& app, const char* flag, Enum& target, const std::map<std::string, Enum>& words,
                const char* help) {
  std::string list;
  for (const auto& entry : words) list += (list.empty() ? "" : "|") + entry.first;
  app.add_option(flag, target, help)->transform(CLI::CheckedTransformer(words).description(list));
}

void add_address(CLI::App& app, Options& o) {
  app.add_option("--host", o.host, "IPv4 address to listen on")->capture_default_str();
  app.add_option("--port", o.port, "Port; 0: any free one")->capture_default_str();
  app.add_option("--port-file", o.port_file, "The port is written here when it is bound");
  app.add_option("--control-port", o.control_port, "Another port for /sim/... alone, which no fault touches; 0: any")
      ->check(CLI::Range(-1, 65535));
  app.add_option("--control-port-file", o.control_port_file, "The control port is written here (implies 0)");
  app.add_option("--ready-after", o.ready_after, "Seconds until the port is bound: the time to load a model")
      ->check(CLI::Range(0.0, 86400.0));
  app.add_option("--keepalive", o.keepalive, "Seconds until an idle connection is closed; 0: never")
      ->check(CLI::Range(0.0, 86400.0))
      ->capture_default_str();
  app.add_option("--request-timeout", o.request_timeout, "Seconds until a request ends with [Request timeout]")
      ->check(CLI::Range(0.001, 86400.0))
      ->capture_default_str();
  app.add_option("--max-body-bytes", o.max_body_bytes, "Larger request bodies get 413")->capture_default_str();
}

void add_engine(CLI::App& app, Options& o) {
  add_choice<EngineKind>(
      app, "--kind", o.kind,
      {{"infinilm", EngineKind::infinilm}, {"vllm", EngineKind::vllm}, {"infinilm-rust", EngineKind::rust}},
      "Whose HTTP is spoken (default infinilm)");
  app.add_option("--model", o.models, "Name of the model; repeatable")->allow_extra_args(false)->capture_default_str();
  app.add_option("--name", o.name, "Sent as x-sim-name with every answer, to tell instances apart");
  add_choice<PathKind>(app, "--path", o.path,
                       {{"both", PathKind::both}, {"v1", PathKind::v1}, {"bare", PathKind::bare}},
                       "Paths with /v1 before them, without, or both (default: what the kind has)");
  const auto count = CLI::Range(std::uint32_t{1}, std::uint32_t{1'000'000'000});
  app.add_option("--max-batch", o.max_batch, "Requests that run at once")->check(count)->capture_default_str();
  add_choice<CacheKind>(app, "--cache", o.cache, {{"paged", CacheKind::paged}, {"static", CacheKind::fixed}},
                        "KV cache (default paged)");
  app.add_option("--num-blocks", o.num_blocks, "Blocks of the paged cache; 0: no limit, no prefix cache")
      ->check(CLI::Range(std::uint32_t{0}, std::uint32_t{100'000'000}))
      ->capture_default_str();
  app.add_option("--block-size", o.block_size, "Tokens in a block; 4 bytes of prompt are a token")
      ->check(CLI::Range(std::uint32_t{1}, std::uint32_t{1U << 20U}))
      ->capture_default_str();
  app.add_option("--max-cache-len", o.max_cache_len, "Tokens of the static cache")->check(count)->capture_default_str();
  const auto micros = CLI::Range(0.0, 1e9);
  app.add_option("--prefill-us-per-token", o.prefill_us_per_token, "For prompt tokens that are not cached")
      ->check(micros)
      ->capture_default_str();
  app.add_option("--decode-us", o.decode_us, "Time of a step; 0: as fast as the client takes it")
      ->check(micros)
      ->capture_default_str();
  add_choice<Pace>(app, "--pace", o.pace, {{"step", Pace::step}, {"each", Pace::each}, {"model", Pace::model}},
                   "One step for the whole batch, a clock for each request, or the steps of the engine model of "
                   "bench/routing (default step)");
  app.add_option("--speed", o.speed, "With --pace model: so many times as fast")
      ->check(CLI::Range(0.001, 1e6))
      ->capture_default_str();
  app.add_option("--chunk", o.chunk, "With --pace model: prefill tokens of a step at most")
      ->check(CLI::Range(1U, 1U << 20U))
      ->capture_default_str();
}

void add_answers(CLI::App& app, Options& o) {
  const auto count = CLI::Range(std::uint32_t{1}, std::uint32_t{1'000'000'000});
  app.add_option("--tokens", o.tokens, "Length of an answer without max_tokens")->check(count)->capture_default_str();
  app.add_option("--answer-bytes", o.answer_bytes, "Bytes of a plain answer's body, exactly; 0: as the tokens make it")
      ->check(CLI::Range(std::size_t{0}, std::size_t{64U << 20U}));
  app.add_option("--chunk-bytes", o.chunk_bytes, "Bytes of an SSE event, exactly; 0: as the token makes it")
      ->check(CLI::Range(std::size_t{0}, std::size_t{1U << 20U}));
  app.add_option("--merge", o.merge, "Most events in one write, with --decode-us 0")
      ->check(CLI::Range(1U, 1024U))
      ->capture_default_str();
  app.add_flag("--stamp", o.stamp, "SSE events begin with \"t\":<monotonic ns>,\"seq\":<n>");
  app.add_flag("--role-at-once", o.role_at_once,
               "vllm: a stream's role comes with its head, before any token is there");
  app.add_option("--fault", o.faults,
                 "A fault to begin with: hang, status:status=503,count=2 or a JSON object; repeatable")
      ->allow_extra_args(false);
  app.add_option("--seed", o.seed, "Of the dice for a fault's share")->capture_default_str();
  app.add_option("--record", o.record, "Request heads kept for GET /sim/requests")
      ->check(CLI::Range(std::size_t{0}, std::size_t{1'000'000}))
      ->capture_default_str();
  app.add_option("--record-body", o.record_body, "Bytes of each body kept with them")->capture_default_str();
}

}  // namespace

bool parse_options(int argc, char** argv, Options& options, int& exit_code) {
  CLI::App app("Simulates an inference engine: its HTTP, queue, KV cache and speed, and its faults on demand.",
               "infinilm-sim");
  add_address(app, options);
  add_engine(app, options);
  add_answers(app, options);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    exit_code = app.exit(error) == 0 ? 0 : 2;
    return false;
  }
  const bool modelled = options.pace == Pace::model;
  for (const char* flag : {"--prefill-us-per-token", "--decode-us"}) {
    if (!modelled || app.count(flag) == 0) continue;
    std::cerr << "infinilm-sim: --pace model has times of its own: leave out " << flag << ", or use --speed\n";
    exit_code = 2;
    return false;
  }
  for (const char* flag : {"--speed", "--chunk"}) {
    if (modelled || app.count(flag) == 0) continue;
    std::cerr << "infinilm-sim: " << flag << " is for --pace model\n";
    exit_code = 2;
    return false;
  }
  if (app.count("--path") == 0) {
    if (options.kind == EngineKind::vllm) options.path = PathKind::v1;
    if (options.kind == EngineKind::rust) options.path = PathKind::bare;
  }
  if (!options.control_port_file.empty() && options.control_port < 0) options.control_port = 0;
  if (options.cache == CacheKind::fixed) options.max_batch = 1;
  return true;
}

}  // namespace svc::sim
