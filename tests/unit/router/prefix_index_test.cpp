#include "router/core/prefix/prefix_index.hpp"

#include <gtest/gtest.h>

#include <random>

#include "prefix_fixture.hpp"

namespace svc::router {
namespace {

PromptShape prompt(unsigned seed, std::size_t bytes = 1024) { return shape_of({{"user", text_of(bytes, seed)}}); }

TEST(PrefixIndex, WhatWasInserted_IsMatchedByItsLaneOnly) {
  PrefixIndex index(kPlenty);
  index.set_capacity(0, 10'000);
  index.set_capacity(3, 10'000);
  EXPECT_EQ(matched(index, prompt(1), 0), 0U);
  index.insert(3, prompt(1));
  index.match(prompt(1, 2048));
  EXPECT_EQ(index.matched(3), 1024U);
  EXPECT_EQ(index.matched(0), 0U);
  EXPECT_EQ(index.matched(77), 0U);
  EXPECT_EQ(matched(index, prompt(2), 3), 0U);
}

TEST(PrefixIndex, ManyHolders_EachHasItsReach) {
  PrefixIndex index(kPlenty);
  constexpr Lane kLanes = 40;
  for (Lane lane = 0; lane < kLanes; ++lane) {
    index.set_capacity(lane, 100'000);
    index.insert(lane, prompt(1, 256 * (lane + 1)));
  }
  index.match(prompt(1, 256 * 64));
  for (Lane lane = 0; lane < kLanes; ++lane) EXPECT_EQ(index.matched(lane), 256U * (lane + 1)) << lane;
}

TEST(PrefixIndex, AboveItsCapacity_TheLeastRecentlyUsedGoes_ItsEndFirst) {
  PrefixIndex index(kPlenty);
  index.set_capacity(0, 3 * 1024);
  for (unsigned seed : {1U, 2U, 3U}) index.insert(0, prompt(seed));
  index.insert(0, prompt(1));  // used again
  index.insert(0, prompt(4, 512));
  EXPECT_EQ(matched(index, prompt(1), 0), 1024U);
  EXPECT_EQ(matched(index, prompt(3), 0), 1024U);
  EXPECT_EQ(matched(index, prompt(2), 0), 512U);
  EXPECT_LE(index.held_units(0), 3U * 1024U);
}

TEST(PrefixIndex, AgeOfTheOldest_CountsInsertionsSinceItWasUsed_WhereThereIsNoRoom) {
  PrefixIndex index(kPlenty);
  EXPECT_FALSE(index.age_of_oldest(0, 1));
  for (Lane lane : {0U, 1U}) index.set_capacity(lane, 2 * 1024);
  EXPECT_FALSE(index.age_of_oldest(0, 5000)) << "nothing is there to be forgotten";
  index.insert(0, prompt(1));
  index.insert(0, prompt(2));
  EXPECT_EQ(index.age_of_oldest(0, 1), 1U);
  EXPECT_FALSE(index.age_of_oldest(0, 0)) << "needs nothing";
  index.insert(1, prompt(3));
  EXPECT_FALSE(index.age_of_oldest(1, 1024)) << "has room";
  EXPECT_EQ(index.age_of_oldest(1, 1025), 0U);
  EXPECT_EQ(index.age_of_oldest(0, 1), 2U) << "insertions into other lanes count too";
  index.insert(0, prompt(1));
  EXPECT_EQ(index.age_of_oldest(0, 1), 2U) << "prompt 2 is the oldest now";
}

TEST(PrefixIndex, AgeOfTheOldest_KnowsWhatCameAgain_BehindAPromptThatWasTakenBack) {
  PrefixIndex index(kPlenty);
  index.set_capacity(0, 2 * 1024);
  const auto stake = index.insert(0, prompt(1));
  for (int i = 0; i < 50; ++i) index.settle(0, prompt(2), index.insert(0, prompt(2)), true);
  EXPECT_EQ(index.age_of_oldest(0, 1500), 50U);
  index.settle(0, prompt(1), stake, false);
  EXPECT_EQ(index.age_of_oldest(0, 1500), 0U);
}

TEST(PrefixIndex, PromptBeyondTheCapacity_KeepsItsBeginning) {
  PrefixIndex index(kPlenty);
  index.set_capacity(0, 1024);
  index.insert(0, prompt(1, 5000));
  EXPECT_EQ(matched(index, prompt(1, 5000), 0), 1024U);
}

TEST(PrefixIndex, Clear_ForgetsAtOnce_AndTheLaneCanBeUsedAgain) {
  PrefixIndex index(kPlenty);
  for (Lane lane : {0U, 1U}) {
    index.set_capacity(lane, 1U << 20U);
    for (unsigned seed = 0; seed < 200; ++seed) index.insert(lane, prompt(seed));
  }
  index.clear(0);
  EXPECT_EQ(matched(index, prompt(5), 0), 0U);
  EXPECT_EQ(matched(index, prompt(5), 1), 1024U);
  EXPECT_EQ(index.held_units(0), 0U);
  index.insert(0, prompt(5));
  EXPECT_EQ(matched(index, prompt(5), 0), 1024U);
  index.remove(1);
  index.insert(1, prompt(6));
  EXPECT_EQ(matched(index, prompt(6), 1), 0U);
  for (unsigned seed = 1000; seed < 1200; ++seed) index.insert(0, prompt(seed));  // clears the rest away
  EXPECT_LE(index.entries(), 4U * 201U);
  EXPECT_EQ(matched(index, prompt(5), 0), 1024U);
}

TEST(PrefixIndex, Answer_IsTheirsWhoGaveIt) {
  PrefixIndex index(kPlenty);
  for (Lane lane : {0U, 1U}) index.set_capacity(lane, 100'000);
  std::vector<Turn> turns = {{"system", text_of(1000, 1)}, {"user", text_of(300, 2)}};
  const auto first = shape_of(turns);
  index.insert(0, first);
  index.insert(1, first);
  index.insert_answer(1, first.end_hash, 900);
  turns.push_back({"assistant", text_of(900, 3)});
  turns.push_back({"user", text_of(400, 4)});
  index.match(shape_of(turns));
  EXPECT_EQ(index.matched(0), 1300U);
  EXPECT_EQ(index.matched(1), 2200U);
}

TEST(PrefixIndex, WhatWasNotComputed_GoesAgain_ButForWhatOthersHave) {
  PrefixIndex index(kPlenty);
  for (Lane lane : {0U, 1U}) index.set_capacity(lane, 100'000);
  const auto talk = [](unsigned seed) {
    return shape_of({{"system", text_of(2048, 1)}, {"user", text_of(1024, seed)}});
  };
  const auto a = talk(10);
  const auto b = talk(11);
  const auto c = talk(12);
  auto first = index.insert(0, a);
  auto second = index.insert(0, b);
  EXPECT_EQ(matched(index, c, 0), 2048U) << "before anything is proven";
  index.settle(0, b, second, false);
  EXPECT_EQ(matched(index, a, 0), 3072U) << "the other one may still be computed";
  EXPECT_EQ(matched(index, b, 0), 2048U);
  index.settle(0, a, first, false);
  EXPECT_EQ(matched(index, a, 0), 0U);
  EXPECT_EQ(index.entries(), 0U);
  EXPECT_EQ(index.held_units(0), 0U);

  first = index.insert(0, a);
  second = index.insert(0, b);
  const auto elsewhere = index.insert(1, b);
  index.settle(0, a, first, true);
  index.settle(0, b, second, false);
  EXPECT_EQ(matched(index, b, 0), 2048U) << "proven by the first";
  EXPECT_EQ(matched(index, b, 1), 3072U);
  index.settle(1, b, elsewhere, false);
  EXPECT_EQ(index.held_blocks(1), 0U);
  EXPECT_EQ(matched(index, a, 0), 3072U);

  const auto again = index.insert(0, c);
  EXPECT_EQ(again.from, 8U) << "of what is proven nobody has a stake";
  index.settle(0, c, again, false);
  EXPECT_EQ(matched(index, c, 0), 2048U);
  EXPECT_EQ(index.held_units(0), 3072U);
}

TEST(PrefixIndex, KeyOfWhatWasNotComputed_GoesToo) {
  PrefixIndex index(kPlenty);
  index.set_capacity(0, 100'000);
  auto keyed = prompt(1);
  keyed.key_hash = 77;
  index.settle(0, keyed, index.insert(0, keyed), false);
  index.match(keyed);
  EXPECT_FALSE(index.keyed(0));
  EXPECT_EQ(index.entries(), 0U);
  index.settle(0, keyed, index.insert(0, keyed), true);
  index.settle(0, keyed, index.insert(0, keyed), false);
  index.match(keyed);
  EXPECT_TRUE(index.keyed(0));
}

TEST(PrefixIndex, MoreStakesThanAreCounted_DoNoHarm) {
  PrefixIndex index(kPlenty);
  index.set_capacity(0, 100'000);
  std::vector<PrefixIndex::Stake> stakes;
  for (int i = 0; i < 200; ++i) stakes.push_back(index.insert(0, prompt(1)));
  for (const auto& stake : stakes) index.settle(0, prompt(1), stake, false);
  EXPECT_EQ(index.entries(), 0U);
  EXPECT_EQ(index.held_units(0), 0U);
  EXPECT_EQ(index.held_blocks(0), 0U);
  index.settle(0, prompt(1), index.insert(0, prompt(1)), true);
  EXPECT_EQ(matched(index, prompt(1), 0), 1024U);
}

TEST(PrefixIndex, HashesThatPileUp_AreFoundAllTheSame) {
  // Tags are the upper half of the hash times an odd constant; with its inverse they can be chosen.
  constexpr std::uint64_t kConstant = 0x9e3779b97f4a7c15ULL;
  std::uint64_t inverse = kConstant;
  for (int i = 0; i < 6; ++i) inverse *= 2 - kConstant * inverse;
  PrefixIndex index(kPlenty);
  for (Lane lane : {0U, 1U}) index.set_capacity(lane, 1ULL << 40U);
  PromptShape shape;  // all homes are the last one; each tag comes four times
  for (std::uint32_t block = 0; block < 600; ++block) {
    const std::uint64_t mixed = (std::uint64_t{0xFFFFFFFFU - block / 4} << 32U) | (block + 1);
    shape.blocks.push_back({mixed * inverse, (block + 1) * 256, 0});
  }
  index.insert(0, shape);
  index.insert(1, shape);
  index.match(shape);
  for (Lane lane : {0U, 1U}) EXPECT_EQ(index.matched(lane), 600U * 256U);
  index.set_capacity(0, 100U * 256U);
  index.match(shape);
  EXPECT_EQ(index.matched(0), 100U * 256U);
  EXPECT_EQ(index.matched(1), 600U * 256U);
  index.set_capacity(1, 0);
  EXPECT_EQ(index.entries(), 100U);
  index.match(shape);
  EXPECT_EQ(index.matched(0), 100U * 256U);
}

/// Against a model of it: sets with times, without any cleverness.
TEST(PrefixIndex, RandomUse_IsThatOfASimpleModel) {
  constexpr Lane kLanes = 6;
  constexpr std::uint64_t kCapacity = 20 * 256;
  PrefixIndex index(kPlenty);
  struct Held {
    std::vector<std::pair<std::uint64_t, std::uint32_t>> order;  // oldest first
  };
  std::vector<Held> model(kLanes);
  for (Lane lane = 0; lane < kLanes; ++lane) index.set_capacity(lane, kCapacity);
  std::mt19937 engine(7);
  const auto random = [&] { return static_cast<unsigned>(engine()); };
  for (int step = 0; step < 6'000; ++step) {
    const Lane lane = random() % kLanes;
    // 12 beginnings of 4 blocks, each with 8 continuations
    const auto shape = shape_of({{"system", text_of(256 * (1 + random() % 4), random() % 12)},
                                 {"user", text_of(1 + random() % 900, 100 + random() % 8)}});
    if (random() % 50 == 0) {
      index.clear(lane);
      model[lane].order.clear();
    }
    index.match(shape);
    for (Lane other = 0; other < kLanes; ++other) {
      std::uint64_t expected = 0;
      for (const auto& block : shape.blocks) {
        const auto& order = model[other].order;
        if (std::none_of(order.begin(), order.end(), [&](const auto& b) { return b.first == block.hash; })) break;
        expected = block.end;
      }
      ASSERT_EQ(index.matched(other), expected) << "step " << step << " lane " << other;
    }
    index.insert(lane, shape);
    auto& order = model[lane].order;
    for (std::size_t at = shape.blocks.size(); at-- > 0;) {
      const auto hash = shape.blocks[at].hash;
      std::erase_if(order, [&](const auto& b) { return b.first == hash; });
      order.emplace_back(hash, shape.blocks[at].end - (at == 0 ? 0 : shape.blocks[at - 1].end));
    }
    std::uint64_t units = 0;
    for (const auto& block : order) units += block.second;
    while (units > kCapacity) {
      units -= order.front().second;
      order.erase(order.begin());
    }
    ASSERT_EQ(index.held_units(lane), units);
    ASSERT_EQ(index.held_blocks(lane), order.size());
  }
}

}  // namespace
}  // namespace svc::router
