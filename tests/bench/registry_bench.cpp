// What the registry does most, without sockets: heartbeats, and lists of 10,000 services.
#include <benchmark/benchmark.h>

#include <string>
#include <vector>

#include "registry/core/registry_state.hpp"
#include "registry/io/service_json.hpp"

namespace svc::registry {
namespace {

constexpr std::size_t kServices = 10'000;
constexpr TimePoint kStart{std::chrono::hours(1)};
constexpr WallTime kWallStart{std::chrono::hours(500'000)};

std::string name_of(std::size_t number) { return "bench-" + std::to_string(10'000 + number); }

RegistryState filled() {
  RegistryState state({}, kStart, 1);
  std::vector<StoredService> services;
  for (std::size_t i = 0; i < kServices; ++i) {
    StoredService service;
    service.spec.name = name_of(i);
    service.spec.host = "127.0.0.1";
    service.spec.port = 5000;
    service.spec.hostname = "gpu-node";
    service.spec.url = "http://127.0.0.1:5000";
    service.spec.status = wire::kStatusRunning;
    service.spec.timestamp = "2026-01-01T00:00:00Z";
    service.spec.metadata_json =
        R"({"type":"openai-api","framework":"InfiniLM","device":"gpu","device_ids":[0,1,2,3],"tensor_parallel":4,)"
        R"("max_model_len":32768,"max_tokens":4096,"models":["Qwen3-32B","Qwen3-32B-Instruct"],"rack":"r12",)"
        R"("zone":"zone-1","started_by":"infinilm-agent","labels":{"team":"serving","tier":"production"}})";
    service.generation = i + 1;
    services.push_back(std::move(service));
  }
  state.restore(std::move(services), kStart, kWallStart);
  return state;
}

void heartbeat(benchmark::State& run) {
  auto state = filled();
  std::vector<std::string> names;
  for (std::size_t i = 0; i < kServices; ++i) names.push_back(name_of(i));
  std::vector<Event> events;
  std::size_t next = 0;
  auto now = kStart;
  for (auto _ : run) {
    now += std::chrono::microseconds(1);
    auto ack = state.heartbeat(names[next], std::nullopt, now, kWallStart, events);
    benchmark::DoNotOptimize(ack);
    next = (next + 1) % kServices;
  }
  run.SetItemsProcessed(run.iterations());
}
BENCHMARK(heartbeat);

void list_of_10000(benchmark::State& run, bool only_healthy) {
  const auto state = filled();
  ServiceFilter filter;
  if (only_healthy) {
    filter.healthy = true;
  }
  std::size_t bytes = 0;
  for (auto _ : run) {
    const auto text = list_json({state, "epoch", kStart, kWallStart, false}, filter);
    bytes += text.size();
    benchmark::DoNotOptimize(text.data());
  }
  run.SetBytesProcessed(static_cast<std::int64_t>(bytes));
}
BENCHMARK_CAPTURE(list_of_10000, all, false)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(list_of_10000, healthy, true)->Unit(benchmark::kMillisecond);

// The tick that looks for leases that ran out, when none has.
void advance(benchmark::State& run) {
  auto state = filled();
  auto now = kStart;
  for (auto _ : run) {
    now += std::chrono::nanoseconds(1);
    auto events = state.advance(now);
    benchmark::DoNotOptimize(events);
  }
}
BENCHMARK(advance);

}  // namespace
}  // namespace svc::registry
