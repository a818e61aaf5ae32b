#include <gtest/gtest.h>

#include "prefix_fixture.hpp"
#include "router/core/prefix/prefix_index.hpp"

namespace svc::router {
namespace {

/// A prompt of whole blocks of 256, by their hashes alone: there are many here.
PromptShape hashed_prompt(std::uint64_t seed, std::size_t bytes = 1024) {
  PromptShape shape;
  for (std::uint32_t block = 0; block < bytes / 256; ++block) {
    shape.blocks.push_back({answer_marker((seed << 20U) + block + 1), (block + 1) * 256, 0});
  }
  shape.end_hash = shape.blocks.back().hash;
  return shape;
}

TEST(PrefixIndexMemory, StaysInItsBounds) {
  constexpr std::size_t kBytes = 4U << 20U;
  PrefixIndex index(kBytes);
  for (Lane lane = 0; lane < 8; ++lane) index.set_capacity(lane, 1ULL << 40U);
  std::size_t most = 0;
  for (unsigned seed = 0; seed < 20'000; ++seed) {
    index.insert(seed % 8, hashed_prompt(seed, 4096));
    most = std::max(most, index.bytes());
  }
  EXPECT_LE(most, kBytes);
  EXPECT_GT(index.entries(), 20'000U);
  EXPECT_EQ(matched(index, hashed_prompt(19'999, 4096), 19'999 % 8), 4096U);
  EXPECT_EQ(matched(index, hashed_prompt(1, 4096), 1), 0U);
}

/// With as many blocks as given, each at one lane of 16 or at all of them: bytes for each holder of each block.
double bytes_a_holder(std::size_t blocks, bool shared) {
  constexpr Lane kLanes = 16;
  PrefixIndex index(std::size_t{1} << 30U);
  for (Lane lane = 0; lane < kLanes; ++lane) index.set_capacity(lane, 1ULL << 40U);
  for (unsigned seed = 0; index.entries() < blocks; ++seed) {
    const auto some = hashed_prompt(seed, 64 * 256);
    for (Lane lane = 0; lane < kLanes; ++lane) {
      if (shared || seed % kLanes == lane) index.insert(lane, some);
    }
  }
  double holders = 0;
  for (Lane lane = 0; lane < kLanes; ++lane) holders += static_cast<double>(index.held_blocks(lane));
  return static_cast<double>(index.bytes()) / holders;
}

TEST(PrefixIndexMemory, OfABlockAndOfEachWhoHasIt) {
  // At any size: the table grows by a quarter.
  for (const std::size_t blocks : {40'000U, 45'000U, 50'000U, 55'000U, 60'000U}) {
    EXPECT_LE(bytes_a_holder(blocks, false), 70) << blocks;
    EXPECT_LE(bytes_a_holder(blocks, true), 16.7) << "uses, and two nodes for the 14 that have no room in the entry";
  }
}

TEST(PrefixIndexMemory, OtherPrompts_FindTheMemoryOfThoseBefore) {
  constexpr std::size_t kBytes = 4U << 20U;
  constexpr Lane kLanes = 16;
  PrefixIndex index(kBytes);
  for (Lane lane = 0; lane < kLanes; ++lane) index.set_capacity(lane, 1ULL << 40U);
  unsigned seed = 0;
  std::size_t most = 0;
  for (int times = 0; times < 2; ++times) {
    for (int i = 0; i < 10'000; ++i, ++seed) {
      index.insert(seed % kLanes, hashed_prompt(seed, 4096));
      most = std::max(most, index.bytes());
    }
    EXPECT_GT(index.entries(), 50'000U) << "each at one lane";
    for (int i = 0; i < 2'000; ++i, ++seed) {
      for (Lane lane = 0; lane < kLanes; ++lane) index.insert(lane, hashed_prompt(seed, 4096));
      most = std::max(most, index.bytes());
    }
    EXPECT_GT(index.entries(), 12'000U) << "each at all lanes";
  }
  EXPECT_LE(most, kBytes);
  for (Lane lane = 0; lane < kLanes; ++lane) EXPECT_EQ(matched(index, hashed_prompt(seed - 1, 4096), lane), 4096U);
}

TEST(PrefixIndexMemory, TableOfManyPages_KeepsAll) {
  PrefixIndex index(std::size_t{64} << 20U);
  index.set_capacity(0, 1ULL << 40U);
  for (unsigned seed = 0; seed < 500; ++seed) index.insert(0, hashed_prompt(seed, 256 * 400));
  EXPECT_EQ(index.entries(), 200'000U);
  for (unsigned seed = 0; seed < 500; seed += 50)
    EXPECT_EQ(matched(index, hashed_prompt(seed, 256 * 400), 0), 256U * 400U);
}

TEST(PrefixIndexMemory, BlocksThatAllLanesHave_StayInTheBoundsToo) {
  constexpr std::size_t kBytes = 1U << 20U;
  PrefixIndex index(kBytes);
  constexpr Lane kLanes = 64;
  for (Lane lane = 0; lane < kLanes; ++lane) index.set_capacity(lane, 1ULL << 40U);
  std::size_t most = 0;
  for (unsigned seed = 0; seed < 500; ++seed) {
    const auto shared = hashed_prompt(seed, 4096);
    for (Lane lane = 0; lane < kLanes; ++lane) {
      index.insert(lane, shared);
      index.insert_answer(lane, shared.end_hash, 100);
      most = std::max(most, index.bytes());
      ASSERT_EQ(matched(index, shared, lane), 4096U);
    }
  }
  EXPECT_LE(most, kBytes);
  EXPECT_GT(index.entries(), 100U);
}

TEST(PrefixIndexMemory, PromptLongerThanTheWholeIndex_KeepsItsBeginning) {
  constexpr std::size_t kBytes = 1U << 20U;
  PrefixIndex index(kBytes);
  index.set_capacity(0, 1ULL << 40U);
  for (unsigned seed = 0; seed < 4; ++seed) {
    const auto huge = shape_of({{"user", text_of(16 * 30'000, seed)}}, 16);
    index.insert(0, huge);
    EXPECT_LE(index.bytes(), kBytes);
    EXPECT_GT(matched(index, huge, 0), 16U * 200U);
  }
}

TEST(PrefixIndexMemory, PromptThatComesAgainAndAgain_DoesNotGrowIt) {
  PrefixIndex index(kPlenty);
  index.set_capacity(0, 1U << 20U);
  for (int i = 0; i < 20'000; ++i) index.insert(0, hashed_prompt(1));
  EXPECT_EQ(index.entries(), 4U);
  EXPECT_LE(index.bytes(), 200'000U);
}

}  // namespace
}  // namespace svc::router
