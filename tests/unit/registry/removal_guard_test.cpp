#include "registry/core/removal_guard.hpp"

#include <gtest/gtest.h>

#include <chrono>

#include "tests/support/moments.hpp"

namespace svc::registry {
namespace {

using namespace std::chrono_literals;

using svc::test::kStart;
constexpr Duration kLease = 30s;  // shorter than the interval

/// `count` of `fleet` leases run out at once, all others being alive.
RemovalGuard after_losing(std::size_t count, std::size_t fleet) {
  RemovalGuard guard(RemovalSettings{});
  for (std::size_t i = 1; i <= count; ++i) guard.lease_expired(kStart, kLease, fleet, fleet - i);
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
    EXPECT_EQ(guard.allowance(kStart, c.fleet, c.fleet - c.stale, c.stale), c.allowed) << c.share << " of " << c.fleet;
    EXPECT_EQ(guard.status().waiting, c.stale - c.allowed);
  }
}

TEST(RemovalGuard, LeaseExpired_MoreThanHalf_HoldsRemoval) {
  EXPECT_FALSE(after_losing(5, 10).status().on_hold);
  RemovalGuard guard = after_losing(6, 10);
  EXPECT_TRUE(guard.status().on_hold);
  EXPECT_EQ(guard.status().since, kStart);
  EXPECT_EQ(guard.status().holds, 1U);
  EXPECT_EQ(guard.allowance(kStart, 10, 4, 6), 0U);
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
    guard.lease_expired(kStart + (15s * static_cast<int>(i)), kLease, 10, 10 - i);
    EXPECT_FALSE(guard.status().on_hold) << i;
  }
}

TEST(RemovalGuard, LeaseExpired_ShortAndLongLeasesOfOneCut_HoldRemoval) {
  // A cut at kStart: half of the leases are 15 s long, half 120 s, which is further apart than the interval of 60 s.
  RemovalGuard guard{RemovalSettings{}};
  for (std::size_t i = 1; i <= 10; ++i) guard.lease_expired(kStart + 15s, 15s, 20, 20 - i);
  EXPECT_FALSE(guard.status().on_hold) << "half is not more than half";
  guard.lease_expired(kStart + 120s, 120s, 20, 9);
  EXPECT_TRUE(guard.status().on_hold);
  EXPECT_EQ(guard.allowance(kStart + 121s, 20, 9, 11), 0U);
}

TEST(RemovalGuard, LeaseExpired_WindowIsTheLongestLeaseStillInIt) {
  RemovalGuard guard{RemovalSettings{}};
  for (std::size_t i = 1; i <= 5; ++i) guard.lease_expired(kStart, 300s, 10, 10 - i);
  guard.lease_expired(kStart + 300s, 15s, 10, 4);
  EXPECT_TRUE(guard.status().on_hold);

  RemovalGuard later{RemovalSettings{}};
  for (std::size_t i = 1; i <= 5; ++i) later.lease_expired(kStart, 300s, 10, 10 - i);
  later.lease_expired(kStart + 301s, 15s, 10, 4);
  EXPECT_FALSE(later.status().on_hold) << "the five are out of the window";
  later.lease_expired(kStart + 361s, 15s, 10, 3);
  later.lease_expired(kStart + 362s, 15s, 10, 2);
  EXPECT_FALSE(later.status().on_hold) << "with the long leases gone the window is the interval again";
}

TEST(RemovalGuard, LeaseExpired_EndlessLease_WindowIsTheHoldLimit) {
  RemovalGuard guard{RemovalSettings{}};
  for (std::size_t i = 1; i <= 5; ++i) guard.lease_expired(kStart, 24h * 365, 10, 10 - i);
  guard.lease_expired(kStart + 1h + 1ns, 24h * 365, 10, 4);
  EXPECT_FALSE(guard.status().on_hold);
}

TEST(RemovalGuard, LeaseExpired_OneFlappingService_IsNoCollapse) {
  RemovalGuard guard{RemovalSettings{}};
  for (int i = 0; i < 30; ++i) guard.lease_expired(kStart + i * 1s, kLease, 10, 9);
  EXPECT_FALSE(guard.status().on_hold);
}

TEST(RemovalGuard, Review_HalfIsBack_LiftsTheHold) {
  RemovalGuard guard = after_losing(6, 10);
  guard.review(kStart + 10s, 10, 4);
  EXPECT_TRUE(guard.status().on_hold);
  guard.review(kStart + 10s, 10, 5);
  EXPECT_FALSE(guard.status().on_hold);
  EXPECT_FALSE(guard.status().since.has_value());
  EXPECT_EQ(guard.status().holds, 1U);
  EXPECT_EQ(guard.allowance(kStart + 10s, 10, 5, 5), 1U);
}

TEST(RemovalGuard, Review_HalfOfAnOddFleet_RoundsUp) {
  RemovalGuard guard = after_losing(3, 5);
  guard.review(kStart, 5, 2);
  EXPECT_TRUE(guard.status().on_hold);
  guard.review(kStart, 5, 3);
  EXPECT_FALSE(guard.status().on_hold);
}

TEST(RemovalGuard, Review_EmptyFleet_LiftsTheHold) {
  RemovalGuard guard = after_losing(3, 5);
  guard.review(kStart, 0, 0);
  EXPECT_FALSE(guard.status().on_hold);
}

TEST(RemovalGuard, Allowance_AfterTheHoldLimit_RemovesInSharesAgain) {
  RemovalGuard guard = after_losing(100, 100);
  EXPECT_EQ(guard.allowance(kStart + 1h - 1ns, 100, 0, 100), 0U);
  EXPECT_EQ(guard.allowance(kStart + 1h, 100, 0, 100), 15U);
  EXPECT_FALSE(guard.status().on_hold);
}

TEST(RemovalGuard, LeaseExpired_AfterALiftedHold_NeedsACollapseOfItsOwn) {
  RemovalGuard guard = after_losing(6, 10);
  guard.review(kStart, 10, 10);
  guard.lease_expired(kStart + 1s, kLease, 10, 9);
  EXPECT_FALSE(guard.status().on_hold);
  for (std::size_t alive = 8; alive >= 4; --alive) guard.lease_expired(kStart + 2s, kLease, 10, alive);
  EXPECT_TRUE(guard.status().on_hold);
  EXPECT_EQ(guard.status().holds, 2U);
}

TEST(RemovalGuard, Reconfigure_LargerShare_AppliesAtOnce) {
  RemovalGuard guard{RemovalSettings{}};
  guard.reconfigure(RemovalSettings{0.5, 60s, 1h});
  EXPECT_EQ(guard.allowance(kStart, 10, 2, 8), 5U);
}

}  // namespace
}  // namespace svc::registry
