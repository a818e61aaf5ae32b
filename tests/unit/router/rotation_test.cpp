#include "router/core/rotation.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <random>
#include <string>
#include <thread>

namespace svc::router {
namespace {

using Weights = std::vector<std::uint64_t>;

/// nginx's loop, turn by turn.
std::vector<std::uint32_t> naive_order(const Weights& weights) {
  const auto total = static_cast<std::int64_t>(std::accumulate(weights.begin(), weights.end(), std::uint64_t{0}));
  std::vector<std::int64_t> current(weights.size());
  std::vector<std::uint32_t> order;
  for (std::int64_t turn = 0; turn < total; ++turn) {
    std::size_t best = weights.size();
    for (std::size_t i = 0; i < weights.size(); ++i) {
      if (weights[i] == 0) continue;
      current[i] += static_cast<std::int64_t>(weights[i]);
      if (best == weights.size() || current[i] > current[best]) best = i;
    }
    current[best] -= total;
    order.push_back(static_cast<std::uint32_t>(best));
  }
  return order;
}

std::string letters(const Weights& weights) {
  std::string text;
  for (const auto index : Rotation::smooth_order(weights)) text += static_cast<char>('a' + index);
  return text;
}

TEST(Rotation, SmoothOrder_KnownSequences) {
  const std::pair<Weights, std::string> cases[] = {
      {{5, 1, 1}, "aabacaa"}, {{1, 1, 1}, "abc"},   {{3, 1}, "aaba"},  {{1, 2}, "bab"},
      {{4, 2, 1}, "abacaba"}, {{2, 2, 1}, "abcab"}, {{7}, "a"},        {{}, ""},
      {{0, 0}, ""},           {{0, 3, 0, 3}, "bd"}, {{10, 20}, "bab"}, {{100, 100, 100}, "abc"},
  };
  for (const auto& [weights, expected] : cases) EXPECT_EQ(letters(weights), expected);
}

TEST(Rotation, SmoothOrder_RandomWeights_EqualsTheNaiveLoop) {
  std::mt19937_64 random(7);
  for (int round = 0; round < 300; ++round) {
    Weights weights(1 + random() % 20);
    const auto most = round % 3 == 0 ? 3U : round % 3 == 1 ? 12U : 100U;
    std::uint64_t divisor = 0;
    for (auto& weight : weights) divisor = std::gcd(divisor, weight = random() % (most + 1));
    if (divisor == 0) continue;
    for (auto& weight : weights) weight /= divisor;
    ASSERT_EQ(Rotation::smooth_order(weights), naive_order(weights)) << "round " << round;
  }
}

TEST(Rotation, SmoothOrder_AThousandMixed_EqualsTheNaiveLoop) {
  std::mt19937_64 random(8);
  Weights weights(1000);
  for (auto& weight : weights) weight = 1 + random() % 10;
  EXPECT_EQ(Rotation::smooth_order(weights), naive_order(weights));
}

TEST(Rotation, SmoothOrder_LongPeriod_IsScaledDownInProportion) {
  const Weights weights{1'000'003, 500'009, 1, 0};
  const auto order = Rotation::smooth_order(weights);
  EXPECT_LE(order.size(), Rotation::kMaxPeriod);
  EXPECT_GE(order.size(), Rotation::kMaxPeriod / 2);
  std::map<std::uint32_t, int> count;
  for (const auto index : order) ++count[index];
  EXPECT_NEAR(count[0] / static_cast<double>(count[1]), 2.0, 0.001);
  EXPECT_EQ(count[2], 1);
  EXPECT_EQ(count.count(3), 0U);
}

TEST(Rotation, SmoothOrder_HugeOrManyWeights_StayWithinThePeriod) {
  EXPECT_LE(Rotation::smooth_order(Weights{~0ULL, ~0ULL - 1, 1}).size(), Rotation::kMaxPeriod);
  EXPECT_EQ(Rotation::smooth_order(Weights{~0ULL, ~0ULL}).size(), 2U);
  Weights many(1000);
  for (std::size_t i = 0; i < many.size(); ++i) many[i] = 1 + i * i;
  const auto order = Rotation::smooth_order(many);
  EXPECT_LE(order.size(), Rotation::kMaxPeriod);
  std::vector<bool> seen(many.size());
  for (const auto index : order) seen[index] = true;
  EXPECT_EQ(std::count(seen.begin(), seen.end(), true), 1000);
  EXPECT_EQ(Rotation::smooth_order(Weights(1000, 77)).size(), 1000U);
}

TEST(Rotation, Follow_GoesOnWhereThePreviousWas) {
  const Rotation first(Rotation::smooth_order(Weights{1, 1, 1}));
  EXPECT_EQ(first.take(), 0U);
  Rotation second(Rotation::smooth_order(Weights{1, 1, 1}));
  second.follow(first);
  EXPECT_EQ(second.peek(), 1U);
  EXPECT_EQ(second.at(second.take()), 1U);
  EXPECT_EQ(first.at(first.take()), 2U);
}

TEST(Rotation, Take_ManyThreads_TogetherFollowTheOrder) {
  const Rotation rotation(Rotation::smooth_order(Weights{5, 1, 1}));
  std::vector<std::map<std::uint32_t, int>> counts(4);
  std::vector<std::thread> threads;
  for (auto& count : counts) {
    threads.emplace_back([&] {
      for (int i = 0; i < 7000; ++i) ++count[rotation.at(rotation.take())];
    });
  }
  for (auto& thread : threads) thread.join();
  std::map<std::uint32_t, int> sum;
  for (const auto& count : counts) {
    for (const auto& [index, times] : count) sum[index] += times;
  }
  EXPECT_EQ(sum, (std::map<std::uint32_t, int>{{0, 20'000}, {1, 4'000}, {2, 4'000}}));
}

}  // namespace
}  // namespace svc::router
