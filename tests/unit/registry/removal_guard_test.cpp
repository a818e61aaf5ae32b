#include "registry/core/removal_guard.hpp"

#include <gtest/gtest.h>

#include <chrono>

namespace svc::registry {
namespace {

using namespace std::chrono_literals;

constexpr TimePoint kNow{std::chrono::seconds(1000)};

/// `count` of `fleet` leases run out at once, all others being alive.
RemovalGuard after_losing(std::size_t count, std::size_t fleet) {
  RemovalGuard guard(RemovalSettings{});
  for (std::size_t i = 1; i <= count; ++i) guard.lease_expired(kNow, fleet, fleet - i);
  return guard;
}

struct Share {
  double share;
  std::size_t fleet, stale, allowed;
};

TEST(RemovalGuard, Allowance_BelowCollapse_IsTheShareAndAtLeastOne) {
  const Share cases[] = {
      {0.15, 100, 40, 15}, {0.15, 100, 15, 15}, {0.15, 100, 3, 3},   {0.15, 100, 0, 0},
      {0.15, 20, 10, 3},   {0.15, 19, 9, 2},    {0.15, 6, 3, 1},     {0.15, 2, 1, 1},
      {0.15, 1, 1, 1},     {1.0, 10, 10, 10},   {0.29, 100, 50, 29}, {0.0001, 100, 50, 1},
  };
  for (const auto& c : cases) {
    RemovalSettings settings;
    settings.max_share = c.share;
    RemovalGuard guard(settings);
    EXPECT_EQ(guard.allowance(kNow, c.fleet, c.fleet - c.stale, c.stale), c.allowed) << c.share << " of " << c.fleet;
    EXPECT_EQ(guard.status().waiting, c.stale - c.allowed);
  }
}

TEST(RemovalGuard, LeaseExpired_MoreThanHalf_HoldsRemoval) {
  EXPECT_FALSE(after_losing(5, 10).status().on_hold);
  RemovalGuard guard = after_losing(6, 10);
  EXPECT_TRUE(guard.status().on_hold);
  EXPECT_EQ(guard.status().since, kNow);
  EXPECT_EQ(guard.status().holds, 1U);
  EXPECT_EQ(guard.allowance(kNow, 10, 4, 6), 0U);
  EXPECT_EQ(guard.status().waiting, 6U);
  EXPECT_TRUE(after_losing(3, 5).status().on_hold);
  EXPECT_FALSE(after_losing(2, 5).status().on_hold);
}

TEST(RemovalGuard, LeaseExpired_AnAgentAndItsEngine_IsNoCollapse) {
  EXPECT_FALSE(after_losing(1, 1).status().on_hold);
  EXPECT_FALSE(after_losing(2, 2).status().on_hold);
  EXPECT_FALSE(after_losing(2, 3).status().on_hold);
  EXPECT_TRUE(after_losing(3, 3).status().on_hold);
}

TEST(RemovalGuard, LeaseExpired_SpreadOverMoreThanTheInterval_IsNoCollapse) {
  RemovalGuard guard{RemovalSettings{}};
  for (std::size_t i = 1; i <= 10; ++i) {
    guard.lease_expired(kNow + (15s * static_cast<int>(i)), 10, 10 - i);
    EXPECT_FALSE(guard.status().on_hold) << i;
  }
}

TEST(RemovalGuard, LeaseExpired_OneFlappingService_IsNoCollapse) {
  RemovalGuard guard{RemovalSettings{}};
  for (int i = 0; i < 30; ++i) guard.lease_expired(kNow + i * 1s, 10, 9);
  EXPECT_FALSE(guard.status().on_hold);
}

TEST(RemovalGuard, Review_HalfIsBack_LiftsTheHold) {
  RemovalGuard guard = after_losing(6, 10);
  guard.review(kNow + 10s, 10, 4);
  EXPECT_TRUE(guard.status().on_hold);
  guard.review(kNow + 10s, 10, 5);
  EXPECT_FALSE(guard.status().on_hold);
  EXPECT_FALSE(guard.status().since.has_value());
  EXPECT_EQ(guard.status().holds, 1U);
  EXPECT_EQ(guard.allowance(kNow + 10s, 10, 5, 5), 1U);
}

TEST(RemovalGuard, Review_HalfOfAnOddFleet_RoundsUp) {
  RemovalGuard guard = after_losing(3, 5);
  guard.review(kNow, 5, 2);
  EXPECT_TRUE(guard.status().on_hold);
  guard.review(kNow, 5, 3);
  EXPECT_FALSE(guard.status().on_hold);
}

TEST(RemovalGuard, Review_EmptyFleet_LiftsTheHold) {
  RemovalGuard guard = after_losing(3, 5);
  guard.review(kNow, 0, 0);
  EXPECT_FALSE(guard.status().on_hold);
}

TEST(RemovalGuard, Allowance_AfterTheHoldLimit_RemovesInSharesAgain) {
  RemovalGuard guard = after_losing(100, 100);
  EXPECT_EQ(guard.allowance(kNow + 1h - 1ns, 100, 0, 100), 0U);
  EXPECT_EQ(guard.allowance(kNow + 1h, 100, 0, 100), 15U);
  EXPECT_FALSE(guard.status().on_hold);
}

TEST(RemovalGuard, LeaseExpired_AfterALiftedHold_NeedsACollapseOfItsOwn) {
  RemovalGuard guard = after_losing(6, 10);
  guard.review(kNow, 10, 10);
  guard.lease_expired(kNow + 1s, 10, 9);
  EXPECT_FALSE(guard.status().on_hold);
  for (std::size_t alive = 8; alive >= 4; --alive) guard.lease_expired(kNow + 2s, 10, alive);
  EXPECT_TRUE(guard.status().on_hold);
  EXPECT_EQ(guard.status().holds, 2U);
}

TEST(RemovalGuard, Reconfigure_LargerShare_AppliesAtOnce) {
  RemovalGuard guard{RemovalSettings{}};
  guard.reconfigure(RemovalSettings{0.5, 60s, 1h});
  EXPECT_EQ(guard.allowance(kNow, 10, 2, 8), 5U);
}

}  // namespace
}  // namespace svc::registry
