#include "bench/routing/block_cache.hpp"

#include <gtest/gtest.h>

#include <list>
#include <map>
#include <random>

namespace svc::routing {
namespace {

TEST(BlockCache, Depth_CountsFromTheBegin) {
  BlockCache cache;
  cache.use(1);
  cache.use(3);
  EXPECT_EQ(cache.depth(std::vector<BlockId>{1, 2, 3}), 1U);
  EXPECT_EQ(cache.depth(std::vector<BlockId>{2, 1}), 0U);
  EXPECT_EQ(cache.depth({}), 0U);
}

TEST(BlockCache, Touch_ForgetsTheEndOfAPromptFirst) {
  BlockCache cache;
  const std::vector<BlockId> first = {1, 2, 3};
  const std::vector<BlockId> second = {4, 5};
  cache.touch(first, 1, 4);
  cache.touch(second, 2, 4);
  EXPECT_EQ(cache.size(), 4U);
  EXPECT_EQ(cache.depth(first), 2U);
  EXPECT_EQ(cache.depth(second), 2U);
  EXPECT_EQ(cache.touched(1), 1U);
  EXPECT_EQ(cache.touched(3), std::nullopt);
  cache.touch(first, 3, 4);
  EXPECT_EQ(cache.depth(first), 3U);
  EXPECT_EQ(cache.depth(second), 1U);
}

TEST(BlockCache, RandomUse_IsThatOfAMapAndAList) {
  BlockCache cache;
  std::map<BlockId, int> users;
  std::list<BlockId> idle;  // the oldest first
  std::mt19937_64 random(3);
  for (int step = 0; step < 20'000; ++step) {
    const BlockId id = random() % 300;
    switch (random() % 4) {
      case 0:
      case 1: {
        const bool fresh = !users.contains(id);
        EXPECT_EQ(cache.use(id), fresh);
        if (users[id]++ == 0 && !fresh) idle.remove(id);
        break;
      }
      case 2:
        if (users.contains(id) && users[id] > 0) {
          cache.drop(id);
          if (--users[id] == 0) idle.push_back(id);
        }
        break;
      default:
        EXPECT_EQ(cache.evict(), !idle.empty());
        if (!idle.empty()) {
          users.erase(idle.front());
          idle.pop_front();
        }
    }
    ASSERT_EQ(cache.size(), users.size());
    ASSERT_EQ(cache.used(), users.size() - idle.size());
    ASSERT_EQ(cache.holds(id), users.contains(id));
  }
}

}  // namespace
}  // namespace svc::routing
