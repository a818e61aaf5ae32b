#include "bench/routing/engine.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "tests/unit/routing_sim/naive_engine.hpp"

namespace svc::routing {
namespace {

constexpr std::uint32_t kBlock = 512;

EngineModel usual() { return {}; }

/// Runs an engine to its end and notes what it tells.
class Driver {
 public:
  explicit Driver(const EngineModel& model, bool foresight = false) : engine(model, kBlock, foresight) {}

  void step() {
    const double now = engine.next_event();
    engine.advance(progress_);
    for (const auto& [row, cached] : progress_.scheduled) outcomes[row].cached = cached;
    for (const auto row : progress_.first_token) outcomes[row].first_token = now;
    for (const auto row : progress_.ended) outcomes[row].ended = now;
  }
  void run_until(double time) {
    while (engine.next_event() <= time) step();
  }
  void finish() {
    while (!std::isinf(engine.next_event())) step();
  }

  Engine engine;
  std::map<std::uint32_t, NaiveEngine::Outcome> outcomes;

 private:
  Progress progress_;
};

/// Prompts that share beginnings, as conversations do; `blocks` owns their ids.
std::vector<std::pair<double, Job>> random_jobs(std::mt19937& random, std::size_t count, double spacing, bool sharing,
                                                std::vector<std::vector<BlockId>>& blocks) {
  std::vector<std::pair<double, Job>> jobs;
  blocks.resize(count);
  double at = 0;
  BlockId fresh = 1000;
  for (std::uint32_t row = 0; row < count; ++row) {
    at += std::exponential_distribution<>(1 / spacing)(random);
    const auto in = static_cast<std::uint32_t>(1 + random() % 6000);
    const auto out = static_cast<std::uint32_t>(1 + random() % (random() % 4 == 0 ? 400 : 12));
    const auto& parent = sharing && row > 0 && random() % 3 != 0 ? blocks[random() % row] : blocks[row];
    auto& own = blocks[row];
    const auto shared = parent.empty() ? 0 : random() % (parent.size() + 1);
    own.assign(parent.begin(),
               parent.begin() + static_cast<std::ptrdiff_t>(std::min<std::size_t>(shared, in / kBlock)));
    while (own.size() < in / kBlock) own.push_back(fresh++);
    jobs.push_back({at, Job{row, in, out, own}});
  }
  return jobs;
}

TEST(Engine, OneRequest_TakesItsPrefillAndThenAStepForEachToken) {
  const auto model = usual();
  Driver driver(model);
  driver.engine.enqueue(2.0, Job{7, 3000, 4, {}});
  driver.finish();
  const double first = 2.0 + model.prefill(3000);
  const double rest = model.step(0, 0, 1, 3001) + model.step(0, 0, 1, 3002) + model.step(0, 0, 1, 3003);
  EXPECT_NEAR(driver.outcomes[7].first_token, first, 1e-12);
  EXPECT_NEAR(driver.outcomes[7].ended, first + rest, 1e-12);
}

TEST(EngineModel, Step_IsTheSumOfItsParts) {
  const auto model = usual();
  // 1,000 tokens after 2,000 others, beside 3 answers with 9,000 tokens of context.
  const double expected = 0.0015 + 0.125 + 4e-9 * 1000 * 2500 + 4 * 50e-6 + 41e-9 * 9000;
  EXPECT_NEAR(model.step(1000, context_pairs(2000, 1000), 4, 9000), expected, 1e-12);
  EXPECT_NEAR(model.step(10, 0, 1, 0), 0.0015 + 0.014 + 50e-6, 1e-12) << "a pass over the weights at least";
  auto half = model;
  half.speed = 0.5;
  EXPECT_NEAR(half.step(10, 0, 1, 0), 2 * model.step(10, 0, 1, 0), 1e-12);
  EXPECT_NEAR(model.prefill(2048), model.prefill(1024) + model.prefill(2048, 1024), 1e-12);
  EXPECT_EQ(model.prefill(100, 100), 0);
}

TEST(Engine, WholePromptCached_StillComputesItsLastToken) {
  Driver driver(usual());
  const std::vector<BlockId> blocks = {1, 2};
  driver.engine.enqueue(0, Job{0, 1024, 1, blocks});
  driver.finish();
  driver.engine.enqueue(10, Job{1, 1024, 1, blocks});
  driver.finish();
  EXPECT_EQ(driver.outcomes[1].cached, 1023U);
  EXPECT_NEAR(driver.outcomes[1].first_token, 10 + usual().step(1, 1023.5, 1, 0), 1e-9);
}

TEST(Engine, BlocksOfARunningStep_AreNotYetThere) {
  Driver driver(usual());
  const std::vector<BlockId> blocks = {1, 2, 3, 4, 5, 6, 7, 8};
  driver.engine.enqueue(0, Job{0, 4096, 1, blocks});
  driver.engine.enqueue(0, Job{1, 4096, 1, blocks});
  EXPECT_EQ(driver.engine.cached_depth(blocks), 0U);
  driver.step();
  EXPECT_EQ(driver.engine.cached_depth(blocks), 2U);
  driver.finish();
  EXPECT_EQ(driver.outcomes[0].cached, 0U);
  EXPECT_EQ(driver.outcomes[1].cached, 4095U) << "it was scheduled when the first one was through";
}

TEST(Engine, FullCache_ForgetsTheEndOfTheOldestPromptFirst) {
  auto model = usual();
  model.kv_tokens = 8 * kBlock;
  Driver driver(model);
  const std::vector<BlockId> first = {1, 2, 3};
  const std::vector<BlockId> second = {11, 12, 13};
  const std::vector<BlockId> third = {21, 22, 23};
  driver.engine.enqueue(0, Job{0, 3 * kBlock, 1, first});
  driver.finish();
  driver.engine.enqueue(100, Job{1, 3 * kBlock, 1, second});
  driver.finish();
  driver.engine.enqueue(200, Job{2, 3 * kBlock, 1, third});  // and a token of answer: two blocks have to go
  driver.finish();
  EXPECT_EQ(driver.engine.cached_depth(first), 1U);
  EXPECT_EQ(driver.engine.cached_depth(second), 3U);
}

TEST(Engine, NoRoomForAPromptAndItsAnswer_WaitsUntilOneEnds) {
  auto model = usual();
  model.kv_tokens = 4000;
  Driver driver(model);
  driver.engine.enqueue(0, Job{0, 2000, 500, {}});
  driver.engine.enqueue(0, Job{1, 1000, 501, {}});
  driver.finish();
  EXPECT_GT(driver.outcomes[1].first_token, driver.outcomes[0].ended);
  EXPECT_EQ(driver.engine.kv_usage(), 0);
}

TEST(Engine, RandomLoads_AreAsStepByStep) {
  std::mt19937 random(20);
  for (int round = 0; round < 12; ++round) {
    auto model = usual();
    if (round % 3 == 1) model.kv_tokens = 20'000;  // little memory
    if (round % 3 == 2) model.max_batch = 4;
    if (round % 2 == 1) model.chunk = 300;
    std::vector<std::vector<BlockId>> blocks;
    const auto jobs = random_jobs(random, 60, round < 6 ? 0.3 : 3.0, true, blocks);
    Driver driver(model);
    for (const auto& [at, job] : jobs) {
      driver.run_until(at);
      driver.engine.enqueue(at, job);
      ASSERT_LE(driver.engine.kv_usage(), 1.0);
    }
    driver.finish();
    const auto expected = NaiveEngine(model, kBlock).run(jobs);
    for (const auto& [row, outcome] : expected) {
      SCOPED_TRACE("round " + std::to_string(round) + ", row " + std::to_string(row));
      ASSERT_EQ(driver.outcomes[row].cached, outcome.cached);
      ASSERT_NEAR(driver.outcomes[row].first_token, outcome.first_token, 1e-6);
      ASSERT_NEAR(driver.outcomes[row].ended, outcome.ended, 1e-6);
    }
    EXPECT_EQ(driver.engine.active(), 0U);
    EXPECT_EQ(driver.engine.kv_usage(), 0);
  }
}

TEST(Engine, Forecast_IsWhatThenHappens) {
  std::mt19937 random(21);
  for (int round = 0; round < 4; ++round) {
    auto model = usual();
    if (round % 2 == 1) model.max_batch = 6;
    std::vector<std::vector<BlockId>> blocks;
    const auto jobs = random_jobs(random, 60, round < 2 ? 0.3 : 1.5, false, blocks);
    Driver driver(model, true);
    for (const auto& [at, job] : jobs) {
      driver.run_until(at);
      const double forecast = driver.engine.first_token_if(at, job);
      driver.engine.enqueue(at, job);
      auto alone = driver;  // nothing else comes
      alone.finish();
      ASSERT_NEAR(alone.outcomes[job.row].first_token, forecast, 1e-6) << "row " << job.row;
    }
  }
}

}  // namespace
}  // namespace svc::routing
