// What prefix_aware costs a request: hashing its prompt, the choice, and, once it is sent, the index.
#include <benchmark/benchmark.h>

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

PromptShape shape_of(const std::string& text) {
  PromptShape shape;
  PromptHasher hasher;
  hasher.begin("m", 256, shape);
  hasher.begin_message("user", false);
  hasher.add_text(text);
  hasher.end_message();
  hasher.end();
  return shape;
}

/// A policy whose caches are full, and prompts of which half are known.
struct Fleet {
  explicit Fleet(std::size_t count, std::uint64_t kv_tokens = 800'000) : policy(PrefixSettings{}) {
    for (Lane lane = 0; lane < count; ++lane) {
      policy.set_lane(lane, {.kv_tokens = kv_tokens, .kv_stated = true});
      lanes.push_back(lane);
    }
    for (std::uint64_t seed = 0; seed < 100 * count; ++seed) {
      shapes.push_back(shape_of(text_of(kPromptBytes, seed)));
      policy.appraise(policy.view(shapes.back(), "m"), lanes, {}, now, scores);
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
  for (auto _ : state) {
    PromptHasher hasher;
    hasher.begin("m", 256, shape);
    hasher.begin_message("user", false);
    hasher.add_text(text);
    hasher.end_message();
    hasher.end();
    benchmark::DoNotOptimize(shape.end_hash);
  }
}
BENCHMARK(hash_prompt);

void choose(benchmark::State& state) {
  Fleet fleet(static_cast<std::size_t>(state.range(0)));
  std::size_t turn = 0;
  for (auto _ : state) {
    const auto& shape = fleet.shapes[(turn += 7919) % fleet.shapes.size()];
    fleet.policy.appraise(fleet.policy.view(shape, "m"), fleet.lanes, {}, fleet.now, fleet.scores);
    benchmark::DoNotOptimize(fleet.scores.data());
  }
}
BENCHMARK(choose)->Arg(4)->Arg(8)->Arg(16);

void whole_request(benchmark::State& state) {
  Fleet fleet(static_cast<std::size_t>(state.range(0)));
  std::size_t turn = 0;
  for (auto _ : state) {
    const auto& shape = fleet.shapes[(turn += 7919) % fleet.shapes.size()];
    fleet.policy.appraise(fleet.policy.view(shape, "m"), fleet.lanes, {}, fleet.now, fleet.scores);
    const auto lane = static_cast<Lane>(turn % fleet.lanes.size());
    auto ticket = fleet.policy.sent(lane, fleet.scores[lane], true, fleet.now);
    fleet.policy.cached(ticket, shape);
    fleet.policy.answered(ticket, shape, true);
    fleet.policy.first_byte(ticket, fleet.now);
    fleet.policy.ended(ticket, shape, "m", {.complete = true, .prompt_tokens = 12'000}, fleet.now);
  }
}
BENCHMARK(whole_request)->Arg(4)->Arg(8)->Arg(16);

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

/// Memory for a million blocks at 16 instances.
void index_memory(benchmark::State& state) {
  for (auto _ : state) {
    PrefixIndex index(std::size_t{4} << 30U);
    for (Lane lane = 0; lane < 16; ++lane) index.set_capacity(lane, std::uint64_t{62'500} * 256);
    std::uint64_t seed = 0;
    std::size_t turn = 0;
    while (index.entries() < 999'000) {
      const auto lane = static_cast<Lane>(turn++ % 16);
      PromptShape shape;
      std::uint32_t end = 0;
      for (int block = 0; block < 184; ++block) {
        shape.blocks.push_back({answer_marker(++seed), end += 256, 0});
      }
      index.insert(lane, shape);
    }
    state.counters["bytes_per_block"] = static_cast<double>(index.bytes()) / static_cast<double>(index.entries());
  }
}
BENCHMARK(index_memory)->Unit(benchmark::kMillisecond)->Iterations(1);

}  // namespace
