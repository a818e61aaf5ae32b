// What a choice costs: every method among 1,000 upstreams (goal: below a microsecond), and what a new table costs.
#include <benchmark/benchmark.h>

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "router/core/pick.hpp"

namespace svc::router {
namespace {

constexpr TimePoint kNow{std::chrono::hours(1)};
constexpr std::size_t kHeld = 4096;  // requests in flight

std::vector<Upstream> fleet(std::size_t count, bool mixed) {
  std::vector<Upstream> upstreams;
  for (std::size_t i = 0; i < count; ++i) {
    Upstream upstream;
    upstream.spec.name = "engine-" + std::to_string(i);
    upstream.spec.weight = mixed ? static_cast<std::int64_t>(1 + i % 10) : 1;
    upstream.spec.models = {"Qwen3-32B"};
    upstream.spec.cache_type = i % 4 == 0 ? "static" : "paged";
    upstream.live = std::make_shared<UpstreamLive>(static_cast<std::uint32_t>(i), 1);
    upstreams.push_back(std::move(upstream));
  }
  return upstreams;
}

/// Picks while kHeld requests are in flight; the oldest ends when a new one begins.
void run_picks(benchmark::State& run, const RoutingTable& table, std::uint64_t keys) {
  std::vector<const Upstream*> held(kHeld, nullptr);
  std::size_t oldest = 0;
  std::uint64_t random = 88172645463325252ULL;
  for (auto _ : run) {
    random ^= random << 13;  // xorshift64
    random ^= random >> 7;
    random ^= random << 17;
    PickContext context;
    context.now = kNow;
    context.random = random;
    context.session_hash = keys == 0 ? 0 : 1 + (random >> 20) % keys * 0x9E3779B97F4A7C15ULL;
    context.client_hash = context.session_hash;
    context.text_bytes = random % 2000;
    const auto result = pick(*table.find("Qwen3-32B"), table.settings(), context);
    if (result.upstream == nullptr) {
      run.SkipWithError("nothing was picked");
      break;
    }
    auto& place = held[oldest++ % kHeld];
    if (place != nullptr) place->live->in_flight.fetch_sub(1, std::memory_order_relaxed);
    place = result.upstream;
  }
}

struct Variant {
  std::size_t count = 1000;
  bool mixed = true;
  std::uint64_t keys = 1'000'000;
  std::uint64_t size_threshold = 0;
  std::uint32_t max_concurrency = 0;
  std::size_t every_ejected = 0;  ///< each n-th, after the table was made
};

void pick_of(benchmark::State& run, Method method, Variant variant) {
  BalancingSettings settings;
  settings.method = method;
  settings.size_threshold = variant.size_threshold;
  auto upstreams = fleet(variant.count, variant.mixed);
  for (auto& upstream : upstreams) upstream.spec.max_concurrency = variant.max_concurrency;
  const auto table = RoutingTable::build(std::move(upstreams), settings, kNow, 1, true, nullptr);
  for (std::size_t i = 0; variant.every_ejected != 0 && i < variant.count; i += variant.every_ejected) {
    table->upstreams()[i].live->ejected_until_ns = (kNow + std::chrono::hours(1)).time_since_epoch().count();
  }
  run_picks(run, *table, variant.keys);
}

BENCHMARK_CAPTURE(pick_of, round_robin, Method::round_robin, Variant{});
BENCHMARK_CAPTURE(pick_of, weighted, Method::weighted, Variant{});
BENCHMARK_CAPTURE(pick_of, least_connections, Method::least_connections, Variant{});
BENCHMARK_CAPTURE(pick_of, least_connections_64, Method::least_connections, Variant{.count = 64});
BENCHMARK_CAPTURE(pick_of, least_connections_8, Method::least_connections, Variant{.count = 8});
BENCHMARK_CAPTURE(pick_of, ip_hash, Method::ip_hash, Variant{});
BENCHMARK_CAPTURE(pick_of, random, Method::random, Variant{});
BENCHMARK_CAPTURE(pick_of, session, Method::session, Variant{});
BENCHMARK_CAPTURE(pick_of, session_100_hot_keys, Method::session, Variant{.keys = 100});
BENCHMARK_CAPTURE(pick_of, session_without_key, Method::session, Variant{.keys = 0});
BENCHMARK_CAPTURE(pick_of, round_robin_by_size, Method::round_robin, Variant{.size_threshold = 1000});
BENCHMARK_CAPTURE(pick_of, round_robin_limited, Method::round_robin, Variant{.max_concurrency = 16});
BENCHMARK_CAPTURE(pick_of, round_robin_third_ejected, Method::round_robin, Variant{.every_ejected = 3});
BENCHMARK_CAPTURE(pick_of, session_third_ejected, Method::session, Variant{.every_ejected = 3});

void pick_on_two_threads(benchmark::State& run, Method method) {
  static const auto tables = [] {
    std::array<std::shared_ptr<const RoutingTable>, 6> made;
    for (std::size_t i = 0; i < made.size(); ++i) {
      BalancingSettings settings;
      settings.method = static_cast<Method>(i);
      made[i] = RoutingTable::build(fleet(1000, true), settings, kNow, 1, true, nullptr);
    }
    return made;
  }();
  run_picks(run, *tables[static_cast<std::size_t>(method)], 1'000'000);
}
BENCHMARK_CAPTURE(pick_on_two_threads, round_robin, Method::round_robin)->Threads(2);
BENCHMARK_CAPTURE(pick_on_two_threads, least_connections, Method::least_connections)->Threads(2);
BENCHMARK_CAPTURE(pick_on_two_threads, session, Method::session)->Threads(2);

/// On the control thread, at each change; `again`: the ring is that of the table before.
void table_of_1000(benchmark::State& run, Method method, bool mixed, bool ramping, bool again) {
  BalancingSettings settings;
  settings.method = method;
  const auto upstreams = fleet(1000, mixed);
  for (std::size_t i = 0; ramping && i < upstreams.size(); ++i) {
    upstreams[i].live->ramp_began_ns = (kNow - std::chrono::milliseconds(30 * i)).time_since_epoch().count();
  }
  const auto previous = RoutingTable::build(upstreams, settings, kNow, 1, true, nullptr);
  for (auto _ : run) {
    auto table = RoutingTable::build(upstreams, settings, kNow, 2, true, again ? previous.get() : nullptr);
    benchmark::DoNotOptimize(table);
  }
}
BENCHMARK_CAPTURE(table_of_1000, equal, Method::round_robin, false, false, false)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(table_of_1000, mixed, Method::round_robin, true, false, false)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(table_of_1000, all_ramping, Method::round_robin, true, true, false)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(table_of_1000, session, Method::session, false, false, false)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(table_of_1000, session_again, Method::session, false, false, true)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace svc::router
