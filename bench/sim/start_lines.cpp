#include "bench/sim/start_lines.hpp"

#include <cstdio>
#include <string>

#include "common/core/clock.hpp"
#include "common/core/time_text.hpp"

namespace svc::sim {
namespace {

/// A line of Python's logging on stdout: "2026-11-23 12:00:00,123 - name - INFO - text".
void log_line(const std::string& text) {
  std::string time = iso8601(wall_now());
  time[10] = ' ';
  time[19] = ',';
  time.resize(23);
  std::printf("%s - infinilm - INFO - %s\n", time.c_str(), text.c_str());
  std::fflush(stdout);
}

void uvicorn_line(const std::string& text) { std::fprintf(stderr, "INFO:     %s\n", text.c_str()); }

std::string address(const Options& options, std::uint16_t port) { return options.host + ":" + std::to_string(port); }

}  // namespace

void print_loading(const Options& options) {
  if (options.kind == EngineKind::rust) {
    std::printf("[INFO] start service at %s\n", address(options, options.port).c_str());
    std::fflush(stdout);
  }
  if (options.kind == EngineKind::infinilm)
    log_line("Starting API Server at " + address(options, options.port) + "...");
  if (options.kind != EngineKind::rust) uvicorn_line("Waiting for application startup.");
}

void print_ready(const Options& options, std::uint16_t port) {
  if (options.kind == EngineKind::rust) {
    std::printf("[INFO] ready to accept\n");
    std::fflush(stdout);
    return;
  }
  if (options.kind == EngineKind::infinilm) {
    log_line("LLMEngine initialized with model at " + options.models.front());
    log_line(options.cache == CacheKind::paged
                 ? "Using Paged KV Cache with num_blocks=" + std::to_string(options.num_blocks)
                 : "Using Static KV Cache with max_cache_len=" + std::to_string(options.max_cache_len));
    log_line("AsyncLLMEngine started");
    log_line("Engine initialized with model at " + options.models.front());
  }
  uvicorn_line("Application startup complete.");
  uvicorn_line("Uvicorn running on http://" + address(options, port) + " (Press CTRL+C to quit)");
}

void print_stopped(const Options& options) {
  if (options.kind == EngineKind::infinilm) log_line("Inference Server stopped");
}

}  // namespace svc::sim
