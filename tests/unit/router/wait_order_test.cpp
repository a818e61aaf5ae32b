#include "router/core/wait_order.hpp"

#include <gtest/gtest.h>

#include <string>

#include "prefix_fixture.hpp"

namespace svc::router {
namespace {

using Place = WaitOrder::Place;

constexpr auto kAny = [](std::uint64_t) { return Place::yes; };
Place place_if(bool ready) { return ready ? Place::yes : Place::no; }

/// Takes all, in order.
std::string drained(WaitOrder& order, const WaitRule& rule = {}) {
  std::string ids;
  while (const auto id = order.next(rule, kAny)) {
    ids += (ids.empty() ? "" : " ") + std::to_string(*id);
    EXPECT_TRUE(order.take(*id));
  }
  EXPECT_TRUE(order.empty());
  return ids;
}

TEST(WaitOrder, Plain_IsFirstComeFirstServed) {
  WaitOrder order;
  for (std::uint64_t id : {3U, 1U, 2U}) order.add({.id = id});
  EXPECT_EQ(order.size(), 3U);
  EXPECT_EQ(drained(order), "1 2 3");
  EXPECT_FALSE(order.take(1));
  EXPECT_FALSE(order.remove(1));
}

TEST(WaitOrder, ShortestFirst_WithAging) {
  WaitOrder order;
  const auto fill = [&] {
    order.add({.id = 1, .since = at(0), .seconds = 2.0});
    order.add({.id = 2, .since = at(50), .seconds = 0.5});
    order.add({.id = 3, .since = at(60), .seconds = 0.1});
  };
  fill();
  EXPECT_EQ(drained(order, {.shortest_first = true}), "3 2 1");
  fill();
  EXPECT_EQ(drained(order, {.shortest_first = true, .aging = 0.1}), "1 2 3") << "a second of waiting is worth 0.1 s";
}

TEST(WaitOrder, NotReady_IsPassedOver) {
  WaitOrder order;
  for (std::uint64_t id = 1; id <= 5; ++id) order.add({.id = id, .seconds = static_cast<double>(id)});
  EXPECT_EQ(order.next({.shortest_first = true}, [](std::uint64_t id) { return place_if(id >= 3); }), 3U);
  EXPECT_EQ(order.next({}, [](std::uint64_t) { return Place::no; }), std::nullopt);
  EXPECT_EQ(order.size(), 5U);
}

TEST(WaitOrder, Ready_IsAskedABoundedNumberOfTimes) {
  WaitOrder order;
  for (std::uint64_t id = 1; id <= 2000; ++id) order.add({.id = id, .seconds = 1});
  for (const bool shortest : {false, true}) {
    std::size_t asked = 0;
    EXPECT_EQ(order.next({.shortest_first = shortest}, [&](std::uint64_t) { return ++asked, Place::no; }),
              std::nullopt);
    EXPECT_EQ(asked, WaitOrder::kMostTried);
  }
}

TEST(WaitOrder, Nobody_EndsTheAsking) {
  WaitOrder order;
  for (std::uint64_t id = 1; id <= 30; ++id) {
    order.add({.id = id, .priority = id % 2 == 0 ? Priority::batch : Priority::interactive, .owner = id % 5});
  }
  std::size_t asked = 0;
  EXPECT_EQ(order.next({}, [&](std::uint64_t) { return ++asked == 3 ? Place::nobody : Place::no; }), std::nullopt);
  EXPECT_EQ(asked, 3U);
}

TEST(WaitOrder, Aging_MayChangeWhileRequestsWait) {
  WaitOrder order;
  order.add({.id = 1, .since = at(0), .seconds = 2.0});
  order.add({.id = 2, .since = at(50), .seconds = 0.5});
  EXPECT_EQ(order.next({.shortest_first = true}, kAny), 2U);
  EXPECT_EQ(order.next({.shortest_first = true, .aging = 0.1}, kAny), 1U);
  EXPECT_EQ(order.next({.shortest_first = true}, kAny), 2U);
  EXPECT_TRUE(order.remove(2));
  EXPECT_EQ(drained(order, {.shortest_first = true}), "1");
}

TEST(WaitOrder, TheSameIdAgain_TakesThePlaceOfTheFirst) {
  WaitOrder order;
  order.add({.id = 1, .owner = 7, .seconds = 2.0});
  order.add({.id = 1, .priority = Priority::batch, .owner = 8, .seconds = 1.0});
  EXPECT_EQ(order.size(), 1U);
  EXPECT_EQ(drained(order, {.shortest_first = true}), "1");
}

TEST(WaitOrder, Classes_AreServedInOrder_ButLowerOnesStayAlive) {
  WaitOrder order;
  for (std::uint64_t id = 1; id <= 20; ++id) order.add({.id = id, .priority = Priority::batch});
  for (std::uint64_t id = 101; id <= 140; ++id) order.add({.id = id, .priority = Priority::interactive});
  std::size_t batch = 0;
  for (int turn = 0; turn < 40; ++turn) {
    const auto id = order.next({}, kAny);
    ASSERT_TRUE(id);
    if (turn < 10) {
      EXPECT_GT(*id, 100U);
    }
    batch += *id <= 100 ? 1U : 0U;
    order.take(*id);
  }
  EXPECT_GE(batch, 3U);
  EXPECT_LE(batch, 4U);
}

TEST(WaitOrder, Keys_TakeTurns_SoThatAFloodIsItsOwnersWait) {
  WaitOrder order;
  for (std::uint64_t id = 1; id <= 100; ++id) order.add({.id = id, .owner = 7, .seconds = 0.1});
  order.add({.id = 101, .owner = 8, .seconds = 0.1});
  order.add({.id = 102, .owner = 8, .seconds = 0.1});
  std::vector<std::uint64_t> first;
  for (int turn = 0; turn < 5; ++turn) {
    first.push_back(*order.next({}, kAny));
    order.take(first.back());
  }
  EXPECT_NE(std::find(first.begin(), first.end(), 101U), first.end());
  EXPECT_NE(std::find(first.begin(), first.end(), 102U), first.end());
}

TEST(WaitOrder, NewKey_DoesNotGetTheTurnsThatItNeverWaitedFor) {
  WaitOrder order;
  for (std::uint64_t id = 1; id <= 200; ++id) order.add({.id = id, .owner = 7});
  for (int turn = 0; turn < 100; ++turn) order.take(*order.next({}, kAny));
  for (std::uint64_t id = 201; id <= 300; ++id) order.add({.id = id, .owner = 8});
  std::size_t newcomers = 0;
  for (int turn = 0; turn < 20; ++turn) {
    const auto id = *order.next({}, kAny);
    newcomers += id > 200 ? 1U : 0U;
    order.take(id);
  }
  EXPECT_NEAR(static_cast<double>(newcomers), 10, 1);
}

TEST(WaitOrder, OwnerWhoseInstancesAreBusy_DoesNotHideTheOthers) {
  WaitOrder order;
  for (std::uint64_t id = 1; id <= 500; ++id) order.add({.id = id, .owner = 7});
  order.add({.id = 501, .owner = 8});
  EXPECT_EQ(order.next({}, [](std::uint64_t id) { return place_if(id > 500); }), 501U);
}

TEST(WaitOrder, KeyThatComesBack_IsNoNewcomer) {
  WaitOrder order;
  for (std::uint64_t id = 1; id <= 100; ++id) order.add({.id = id, .owner = 7});
  std::uint64_t next_id = 101;
  order.add({.id = next_id++, .owner = 8});
  std::size_t others = 0;
  for (int turn = 0; turn < 40; ++turn) {
    const auto id = *order.next({}, kAny);
    order.take(id);
    if (id <= 100) continue;
    ++others;
    order.add({.id = next_id++, .owner = 8});  // one request at a time, the next one at once
  }
  EXPECT_NEAR(static_cast<double>(others), 20, 1);
}

TEST(WaitOrder, TurnInVain_CostsNothing) {
  WaitOrder order;
  for (std::uint64_t id = 1; id <= 9; ++id) order.add({.id = id, .owner = id <= 5 ? 7U : 8U});
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(order.next({}, kAny), 1U);
    order.take(1);
    order.put_back({.id = 1, .owner = 7});
  }
  EXPECT_EQ(drained(order), "1 6 2 7 3 8 4 9 5");

  for (std::uint64_t id = 1; id <= 30; ++id) order.add({.id = id, .priority = Priority::interactive});
  order.add({.id = 31, .priority = Priority::batch});
  while (order.next({}, kAny) != 31U) order.take(*order.next({}, kAny));
  order.take(31);
  order.put_back({.id = 31, .priority = Priority::batch});
  EXPECT_EQ(order.next({}, kAny), 31U) << "it is still owed its turn";
}

TEST(WaitOrder, TurnsThatNobodyWanted_AreNotOwedForEver) {
  WaitOrder order;
  for (std::uint64_t id = 1; id <= 50; ++id) order.add({.id = id, .priority = Priority::batch});
  for (std::uint64_t id = 101; id <= 300; ++id) {
    order.add({.id = id, .priority = Priority::interactive});
    EXPECT_EQ(order.next({}, [](std::uint64_t which) { return place_if(which > 100); }), id);
    order.take(id);
  }
  for (std::uint64_t id = 301; id <= 320; ++id) order.add({.id = id, .priority = Priority::interactive});
  std::size_t batch = 0;
  for (int turn = 0; turn < 10; ++turn) {
    const auto id = *order.next({}, kAny);
    batch += id <= 50 ? 1U : 0U;
    order.take(id);
  }
  EXPECT_LE(batch, 3U);
}

TEST(WaitOrder, Displaced_IsWhoHasTheMostPlaces) {
  WaitOrder order;
  const auto fill = [&](std::uint64_t first, std::uint64_t last, Priority priority, std::uint64_t owner) {
    for (auto id = first; id <= last; ++id) order.add({.id = id, .priority = priority, .owner = owner});
  };
  EXPECT_EQ(order.to_displace(Priority::interactive, 1), std::nullopt);
  fill(1, 10, Priority::standard, 1);
  fill(11, 16, Priority::standard, 2);
  fill(17, 18, Priority::batch, 3);
  EXPECT_EQ(order.to_displace(Priority::standard, 1), 18U) << "a lower class comes first";
  order.remove(18);
  EXPECT_EQ(order.to_displace(Priority::standard, 1), std::nullopt) << "batch keeps a tenth, and this key has the most";
  EXPECT_EQ(order.to_displace(Priority::standard, 2), 10U);
  EXPECT_EQ(order.to_displace(Priority::standard, 9), 10U);
  EXPECT_EQ(order.to_displace(Priority::interactive, 1), 10U);
  EXPECT_EQ(order.to_displace(Priority::batch, 3), std::nullopt);
}

TEST(Priority, Names_AreReadInAnyCase) {
  EXPECT_EQ(parse_priority("Batch"), Priority::batch);
  EXPECT_EQ(parse_priority("default"), Priority::standard);
  EXPECT_EQ(parse_priority("INTERACTIVE"), Priority::interactive);
  EXPECT_EQ(parse_priority("urgent"), std::nullopt);
  EXPECT_EQ(parse_priority(""), std::nullopt);
}

}  // namespace
}  // namespace svc::router
