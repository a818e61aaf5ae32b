#include "registry/core/deadline_heap.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <map>
#include <random>
#include <vector>

namespace svc::registry {
namespace {

using namespace std::chrono_literals;

struct HookOwner : DeadlineHeap::Hook {};

TimePoint tick(int n) { return TimePoint{} + std::chrono::seconds(n); }

TEST(DeadlineHeap, Set_SeveralOwners_EarliestComesFirst) {
  DeadlineHeap heap;
  HookOwner a, b, c;
  heap.set(a, tick(3));
  heap.set(b, tick(1));
  heap.set(c, tick(2));
  EXPECT_EQ(&heap.earliest_owner(), &b);
  heap.set(b, tick(9));
  EXPECT_EQ(&heap.earliest_owner(), &c);
  heap.set(a, tick(0));
  EXPECT_EQ(&heap.earliest_owner(), &a);
  EXPECT_EQ(heap.size(), 3U);
}

TEST(DeadlineHeap, Withdraw_NotScheduled_DoesNothing) {
  DeadlineHeap heap;
  HookOwner a, b;
  heap.set(a, tick(1));
  heap.withdraw(b);
  EXPECT_EQ(heap.size(), 1U);
  heap.withdraw(a);
  heap.withdraw(a);
  EXPECT_TRUE(heap.empty());
  EXPECT_FALSE(a.scheduled());
}

TEST(DeadlineHeap, RandomMoves_AlwaysAgreesWithASortedMap) {
  DeadlineHeap heap;
  std::vector<HookOwner> owners(50);
  std::map<DeadlineHeap::Hook*, TimePoint> expected;
  std::mt19937_64 random(7);
  for (int step = 0; step < 20'000; ++step) {
    HookOwner& owner = owners[random() % owners.size()];
    if (random() % 3 == 0) {
      heap.withdraw(owner);
      expected.erase(&owner);
    } else {
      const TimePoint at = tick(static_cast<int>(random() % 1000));
      heap.set(owner, at);
      expected[&owner] = at;
    }
    ASSERT_EQ(heap.size(), expected.size());
    if (heap.empty()) continue;
    TimePoint earliest = TimePoint::max();
    for (const auto& [hook, at] : expected) earliest = std::min(earliest, at);
    ASSERT_EQ(heap.earliest(), earliest);
    ASSERT_EQ(expected.at(&heap.earliest_owner()), earliest);
  }
}

}  // namespace
}  // namespace svc::registry
