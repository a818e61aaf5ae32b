#include "router/core/hash_ring.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>

namespace svc::router {
namespace {

constexpr int kRingKeys = 20'000;

struct Ring {
  std::vector<std::string> names;
  HashRing ring;

  Ring(std::vector<std::string> given, const std::vector<std::uint64_t>& weights) : names(std::move(given)) {
    std::vector<RingMember> members;
    for (std::size_t i = 0; i < names.size(); ++i) members.push_back({names[i], weights[i]});
    ring = HashRing(members);
  }
  [[nodiscard]] const std::string& owner(int key) const {
    return names[ring.member_at(ring.find(hash_key("key-" + std::to_string(key))))];
  }
};

struct Members {
  std::vector<std::string> names;
  std::vector<std::uint64_t> weights;
};

Members equal(std::size_t count, std::uint64_t weight = 1) {
  Members members;
  for (std::size_t i = 0; i < count; ++i) members.names.push_back("engine-" + std::to_string(i));
  members.weights.assign(count, weight);
  return members;
}

double share_moved(const Ring& before, const Ring& after) {
  int moved = 0;
  for (int key = 0; key < kRingKeys; ++key) moved += before.owner(key) != after.owner(key) ? 1 : 0;
  return moved / static_cast<double>(kRingKeys);
}

TEST(HashRing, Empty_HasNoPoints) {
  EXPECT_TRUE(HashRing().empty());
  EXPECT_TRUE(HashRing(std::vector<RingMember>{}).empty());
  EXPECT_TRUE(HashRing(std::vector<RingMember>{{"a", 0}}).empty());
  EXPECT_EQ(HashRing().size(), 0U);
}

TEST(HashRing, OneMember_OwnsAll) {
  const Ring one({"a"}, {1});
  EXPECT_EQ(one.ring.size(), 160U);
  EXPECT_EQ(one.ring.find(0), 0U);
  EXPECT_EQ(one.ring.find(~0ULL), 0U);  // past the last point: the first again
  EXPECT_EQ(one.owner(1), "a");
}

TEST(HashRing, Find_AgreesWithASearchAmongAllPoints) {
  const auto members = equal(7);
  const Ring ring(members.names, members.weights);
  // Points are not visible. Positions grow with the hash, but for the wrap at the end, and nearly all are met.
  std::vector<bool> met(ring.ring.size());
  std::size_t last = 0;
  bool wrapped = false;
  for (std::uint64_t i = 0; i < 1 << 16; ++i) {
    const auto position = ring.ring.find(i << 48);
    met[position] = true;
    if (position < last) {
      EXPECT_FALSE(wrapped);
      EXPECT_EQ(position, 0U);
      wrapped = true;
    }
    last = position;
  }
  EXPECT_GT(std::count(met.begin(), met.end(), true), static_cast<std::ptrdiff_t>(met.size() * 9 / 10));
}

// The share of one member is 1/N but for a standard deviation of 8 % of it (160 points each); so 1/N is what removals
// move on the average, and never a key of another member.
TEST(HashRing, P13_OneOfNRemoved_MovesOnlyItsShareOfTheKeys) {
  for (const std::size_t count : {2U, 3U, 4U, 8U, 16U, 40U}) {
    const auto members = equal(count);
    const Ring before(members.names, members.weights);
    double sum = 0;
    for (std::size_t gone = 0; gone < count; ++gone) {
      auto left = members;
      left.names.erase(left.names.begin() + static_cast<std::ptrdiff_t>(gone));
      left.weights.pop_back();
      const Ring after(left.names, left.weights);
      for (int key = 0; key < kRingKeys; ++key) {
        if (before.owner(key) != members.names[gone]) {
          ASSERT_EQ(before.owner(key), after.owner(key));
        }
      }
      const auto moved = share_moved(before, after);
      EXPECT_LE(moved, 1.0 / static_cast<double>(count) * 1.34 + 0.005) << count;
      sum += moved;
    }
    EXPECT_LE(sum / static_cast<double>(count), 1.0 / static_cast<double>(count) + 0.005) << count;
  }
}

TEST(HashRing, MixedWeights_AHeavyOneRemoved_MovesNoKeysOfOthers) {
  const Ring before({"big", "a", "b", "c"}, {10, 1, 2, 1});
  const Ring after({"a", "b", "c"}, {1, 2, 1});
  for (int key = 0; key < kRingKeys; ++key) {
    if (before.owner(key) != "big") {
      ASSERT_EQ(before.owner(key), after.owner(key));
    }
  }
}

TEST(HashRing, Points_DoNotDependOnTheOrderOfMembers) {
  const Ring one({"a", "b", "c"}, {1, 2, 3});
  const Ring other({"c", "a", "b"}, {3, 1, 2});
  EXPECT_EQ(share_moved(one, other), 0);
}

TEST(HashRing, Shares_FollowTheWeights) {
  const Ring ring({"a", "b", "c", "none"}, {1, 2, 5, 0});
  std::map<std::string, int> count;
  for (int key = 0; key < kRingKeys; ++key) ++count[ring.owner(key)];
  EXPECT_NEAR(count["a"] / static_cast<double>(kRingKeys), 1 / 8.0, 0.04);
  EXPECT_NEAR(count["b"] / static_cast<double>(kRingKeys), 2 / 8.0, 0.05);
  EXPECT_NEAR(count["c"] / static_cast<double>(kRingKeys), 5 / 8.0, 0.06);
  EXPECT_EQ(count["none"], 0);
}

TEST(HashRing, ShortSimilarNames_ShareEvenlyToo) {
  Members members;
  for (int i = 0; i < 10; ++i) members.names.push_back("u" + std::to_string(i));
  members.weights.assign(10, 1);
  const Ring ring(members.names, members.weights);
  std::map<std::string, int> count;
  for (int key = 0; key < kRingKeys; ++key) ++count[ring.owner(key)];
  for (const auto& name : members.names) EXPECT_NEAR(count[name] / (kRingKeys / 10.0), 1.0, 0.34) << name;
}

TEST(HashRing, EqualMembers_AreWithinAThirdOfTheMean) {
  const auto members = equal(20);
  const Ring ring(members.names, members.weights);
  std::map<std::string, int> count;
  for (int key = 0; key < kRingKeys; ++key) ++count[ring.owner(key)];
  for (const auto& name : members.names) EXPECT_NEAR(count[name] / (kRingKeys / 20.0), 1.0, 0.34) << name;
}

TEST(HashRing, ManyHeavyMembers_StayWithinTheMostPoints) {
  const auto members = equal(1000, 100);
  const Ring ring(members.names, members.weights);
  EXPECT_LE(ring.ring.size(), HashRing::kMaxPoints);
  EXPECT_GE(ring.ring.size(), HashRing::kMaxPoints / 4);
  const Ring with_light({"a", "b"}, {1'000'000'000, 1});
  EXPECT_LE(with_light.ring.size(), HashRing::kMaxPoints + 1);
}

TEST(HashKey, IsXxh3) {
  EXPECT_EQ(hash_key(""), 0x2D06800538D394C2ULL);  // of the reference implementation
  EXPECT_NE(hash_key("a"), hash_key("b"));
}

}  // namespace
}  // namespace svc::router
