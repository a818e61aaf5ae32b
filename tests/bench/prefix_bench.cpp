// What prefix_aware costs a request: hashing its prompt, the choice, and, once it is sent, the index.
#include <benchmark/benchmark.h>

#include <chrono>
#include <cstring>
#include <string>
#include <vector>

#include "router/core/prefix/prefix_policy.hpp"
#include "router/core/request_facts.hpp"

namespace {

using namespace svc;
using namespace svc::router;

constexpr std::size_t kPromptBytes = 48 * 1024;  // about 12,000 tokens

std::string text_of(std::size_t bytes, std::uint64_t seed) {
  std::string text;
  std::uint64_t state = seed * 0x9e3779b97f4a7c15ULL + 1;
  while (text.size() < bytes) {
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    text += static_cast<char>('a' + (state >> 33U) % 26);
  }
  return text;
}

void hash_into(const std::string& text, PromptHasher& hasher, PromptShape& shape) {
  hasher.begin("m", 256, shape);
  hasher.begin_message("user", false);
  hasher.add_text(text);
  hasher.end_message();
  hasher.end();
}

PromptShape shape_of(const std::string& text) {
  PromptShape shape;
  PromptHasher hasher;
  hash_into(text, hasher, shape);
  return shape;
}

/// A policy whose caches are full, and prompts that were sent.
struct Fleet {
  explicit Fleet(std::size_t count, std::uint64_t kv_tokens = 800'000) : policy(PrefixSettings{}) {
    for (Lane lane = 0; lane < count; ++lane) {
      policy.set_lane(lane, {.kv_tokens = kv_tokens, .kv_stated = true});
      lanes.push_back(lane);
    }
    for (std::uint64_t seed = 0; seed < 100 * count; ++seed) {
      shapes.push_back(shape_of(text_of(kPromptBytes, seed)));
      policy.appraise(policy.view(shapes.back(), "m"), lanes, {}, lanes.size(), now, scores);
      auto ticket = policy.sent(static_cast<Lane>(seed % count), scores[seed % count], true, now);
      policy.cached(ticket, shapes.back());
      policy.answered(ticket, shapes.back(), true);
      policy.ended(ticket, shapes.back(), "m", {}, now);
    }
  }
  PrefixPolicy policy;
  std::vector<Lane> lanes;
  std::vector<PromptShape> shapes;
  std::vector<Appraisal> scores;
  TimePoint now{std::chrono::hours(1)};
};

void hash_prompt(benchmark::State& state) {
  const auto text = text_of(kPromptBytes, 1);
  PromptShape shape;
  PromptHasher hasher;
  for (auto _ : state) {
    hash_into(text, hasher, shape);
    benchmark::DoNotOptimize(shape.end_hash);
  }
}
BENCHMARK(hash_prompt);

void choose(benchmark::State& state) {
  Fleet fleet(static_cast<std::size_t>(state.range(0)));
  std::size_t turn = 0;
  for (auto _ : state) {
    const auto& shape = fleet.shapes[(turn += 7919) % fleet.shapes.size()];
    fleet.policy.appraise(fleet.policy.view(shape, "m"), fleet.lanes, {}, fleet.lanes.size(), fleet.now, fleet.scores);
    benchmark::DoNotOptimize(fleet.scores.data());
  }
}
BENCHMARK(choose)->Arg(4)->Arg(8)->Arg(16);

/// All of it: hash, choice, and the index, for so many instances with so large a cache. Of each prompt the first half is
/// known to an instance and the second half to none, and the caches are full: as many blocks go as come.
void whole_request(benchmark::State& state) {
  Fleet fleet(static_cast<std::size_t>(state.range(0)), static_cast<std::uint64_t>(state.range(1)));
  std::vector<std::string> texts;
  for (std::uint64_t seed = 0; seed < 8 * fleet.lanes.size(); ++seed) texts.push_back(text_of(kPromptBytes, seed));
  std::string text;
  PromptShape shape;
  PromptHasher hasher;
  std::uint64_t turn = 0;
  double matched = 0;
  for (auto _ : state) {
    text = texts[(turn += 7) % texts.size()];  // not timed: as a body that has just been read, it is close at hand
    std::memcpy(text.data() + kPromptBytes / 2, &turn, sizeof(turn));
    const auto began = std::chrono::steady_clock::now();
    hash_into(text, hasher, shape);
    fleet.policy.appraise(fleet.policy.view(shape, "m"), fleet.lanes, {}, fleet.lanes.size(), fleet.now, fleet.scores);
    auto best = static_cast<Lane>(turn % fleet.lanes.size());  // equals take turns
    for (Lane lane = 0; lane < fleet.lanes.size(); ++lane) {
      if (fleet.scores[lane].score < fleet.scores[best].score) best = lane;
    }
    matched += fleet.scores[best].matched;
    auto ticket = fleet.policy.sent(best, fleet.scores[best], true, fleet.now);
    fleet.policy.cached(ticket, shape);
    fleet.policy.answered(ticket, shape, true);
    fleet.policy.first_byte(ticket, fleet.now);
    fleet.policy.ended(ticket, shape, "m", {.complete = true, .prompt_tokens = 12'000}, fleet.now);
    state.SetIterationTime(std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count());
  }
  state.counters["matched_tokens"] = benchmark::Counter(matched, benchmark::Counter::kAvgIterations);
}
BENCHMARK(whole_request)->ArgsProduct({{4, 8, 16}, {131'072, 800'000}})->UseManualTime();

void read_body(benchmark::State& state) {
  std::string body = R"({"model":"m","messages":[{"role":"user","content":")" + text_of(kPromptBytes, 1) + R"("}]})";
  const auto size = body.size();
  body.append(FactsReader::kPadding, ' ');
  FactsReader reader;
  RequestFacts facts;
  for (auto _ : state) {
    reader.read(std::string_view(body).substr(0, size), {.prompt = state.range(0) != 0}, facts);
    benchmark::DoNotOptimize(facts.model.data());
  }
}
BENCHMARK(read_body)->Arg(0)->Arg(1);

/// Memory for a million blocks at 16 instances, of which each is in the cache of so many.
void index_memory(benchmark::State& state) {
  const auto holders = static_cast<std::size_t>(state.range(0));
  for (auto _ : state) {
    PrefixIndex index(std::size_t{4} << 30U);
    for (Lane lane = 0; lane < 16; ++lane) index.set_capacity(lane, std::uint64_t{1'000'000} * 256);
    std::uint64_t seed = 0;
    std::size_t turn = 0;
    while (index.entries() < 999'000) {
      ++turn;
      PromptShape shape;
      std::uint32_t end = 0;
      for (int block = 0; block < 184; ++block) {
        shape.blocks.push_back({answer_marker(++seed), end += 256, 0});
      }
      for (std::size_t at = 0; at < holders; ++at) index.insert(static_cast<Lane>((turn + at) % 16), shape);
    }
    state.counters["bytes_per_block"] = static_cast<double>(index.bytes()) / static_cast<double>(index.entries());
  }
}
BENCHMARK(index_memory)->Arg(1)->Arg(2)->Arg(16)->Unit(benchmark::kMillisecond)->Iterations(1);

}  // namespace
