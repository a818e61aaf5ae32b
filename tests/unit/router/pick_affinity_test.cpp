// The hash policies and the choice by size.
#include <gtest/gtest.h>

#include <cmath>

#include "router/core/pick.hpp"
#include "tests/unit/router/pick_fixture.hpp"

namespace svc::router {
namespace {

using Shares = std::map<std::string, int>;

TestFleet hashing(std::size_t count, Method method = Method::session) {
  TestFleet fleet;
  fleet.settings.method = method;
  fleet.add_many(count);
  return fleet;
}

PickContext with_key(std::uint64_t number) {
  PickContext context;
  context.session_hash = hash_key("session-" + std::to_string(number));
  context.client_hash = hash_key("client-" + std::to_string(number));
  return context;
}

PickContext with_text(std::uint64_t bytes, PickContext context = {}) {
  context.text_bytes = bytes;
  return context;
}

TEST(PickAffinity, SameKey_SameUpstream) {
  for (const auto method : {Method::session, Method::ip_hash}) {
    auto fleet = hashing(10, method);
    Shares owners;
    for (std::uint64_t key = 0; key < 200; ++key) {
      const auto first = fleet.short_pick(with_key(key));
      EXPECT_EQ(fleet.short_pick(with_key(key)), first);
      ++owners[first];
    }
    EXPECT_EQ(owners.size(), 10U);
    EXPECT_EQ(fleet.preview(with_key(1)).step, PickStep::affinity);
  }
}

TEST(PickAffinity, IpHash_IgnoresTheSession) {
  auto fleet = hashing(10, Method::ip_hash);
  auto context = with_key(1);
  const auto owner = fleet.short_pick(context);
  context.session_hash = with_key(2).session_hash;
  EXPECT_EQ(fleet.short_pick(context), owner);
}

TEST(PickAffinity, SessionWithoutKey_IsLeastConnections) {
  auto fleet = hashing(3);
  fleet.live("u0").in_flight = 2;
  fleet.live("u1").in_flight = 1;
  EXPECT_EQ(fleet.preview().step, PickStep::policy);
  EXPECT_EQ(fleet.name(), "u2");
}

TEST(PickAffinity, P13_OneOfNRemoved_MovesOnlyItsKeys) {
  constexpr int kKeys = 4000;
  for (const std::size_t count : {4U, 10U, 100U}) {
    auto fleet = hashing(count);
    std::vector<std::string> before;
    for (std::uint64_t key = 0; key < kKeys; ++key) before.push_back(fleet.short_pick(with_key(key)));
    const auto without_u2 = [&](auto change) {
      change();
      int moved = 0;
      for (std::uint64_t key = 0; key < kKeys; ++key) {
        const auto after = fleet.short_pick(with_key(key));
        if (before[key] != "u2") {
          EXPECT_EQ(after, before[key]);
        } else {
          EXPECT_NE(after, "u2");
          ++moved;
        }
      }
      EXPECT_LE(moved / static_cast<double>(kKeys), 1.34 / static_cast<double>(count) + 0.005);
    };
    without_u2([&] { fleet.eject("u2"); });
    without_u2([&] { fleet.remove("u2"), fleet.build(); });
  }
}

TEST(PickAffinity, OwnerThatIsDown_ItsSuccessorOwnsTheKey) {
  auto fleet = hashing(5);
  const auto owner = fleet.short_pick(with_key(1));
  fleet.down(owner);
  EXPECT_EQ(fleet.preview(with_key(1)).step, PickStep::affinity);
  const auto next = fleet.short_pick(with_key(1));
  EXPECT_NE(next, owner);
  EXPECT_EQ(fleet.short_pick(with_key(1)), next);
}

TEST(PickAffinity, BoundedLoad_NoUpstreamGetsMoreThanItsShareTimesTheBound) {
  for (const double bound : {1.0, 1.25, 2.0}) {
    auto fleet = hashing(10);
    fleet.settings.load_bound = bound;
    fleet.build();
    std::string owner;
    for (int total = 0; total < 400; ++total) {
      const auto result = fleet.pick(with_key(1));  // one hot key
      if (total == 0) owner = result.upstream->spec.name;
      const auto capacity = std::ceil(bound * (total + 1) / 10.0 - 1e-9);
      ASSERT_LE(result.upstream->live->in_flight, capacity) << bound << " at " << total;
      if (result.step == PickStep::affinity) {
        ASSERT_EQ(result.upstream->spec.name, owner);
      }
    }
    EXPECT_GE(fleet.live(owner).in_flight, 400 * bound / 10 - 1);
  }
}

TEST(PickAffinity, BoundedLoad_CapacityFollowsTheWeight) {
  TestFleet fleet;
  fleet.settings.method = Method::session;
  fleet.add("heavy", 8);
  fleet.add("light", 2);
  for (std::uint64_t key = 0; key < 1000; ++key) fleet.pick(with_key(key));
  EXPECT_NEAR(fleet.live("heavy").in_flight, 800, 50);
  EXPECT_LE(fleet.live("light").in_flight, 250U);
}

TEST(PickAffinity, BoundedLoad_Zero_IsNoBound) {
  auto fleet = hashing(10);
  fleet.settings.load_bound = 0;
  for (int i = 0; i < 100; ++i) fleet.pick(with_key(1));
  EXPECT_EQ(fleet.pick(with_key(1)).upstream->live->in_flight, 101U);
}

TEST(PickAffinity, BoundedLoad_LargeFleet_StaysNearTheBound) {
  auto fleet = hashing(1000);
  fleet.build();
  for (std::uint64_t i = 0; i < 10'000; ++i) fleet.pick(with_key(i % 50));  // few hot keys
  std::uint32_t most = 0;
  for (int i = 0; i < 1000; ++i) most = std::max(most, fleet.live("u" + std::to_string(i)).in_flight.load());
  EXPECT_LE(most, 14U);  // 12.5, were the sum always exact
}

TEST(PickAffinity, Overflow_GoesToTheNextAndComesBack) {
  auto fleet = hashing(4);
  fleet.add("other");
  fleet.build();
  const auto owner = fleet.short_pick(with_key(1));
  fleet[owner].spec.max_concurrency = 1;
  fleet.build();
  EXPECT_EQ(fleet.name(with_key(1)), owner);
  const auto result = fleet.pick(with_key(1));
  EXPECT_NE(result.upstream->spec.name, owner);
  EXPECT_EQ(result.step, PickStep::affinity_overflow);
  --fleet.live(owner).in_flight;
  EXPECT_EQ(fleet.name(with_key(1)), owner);
}

TestFleet cached() {
  TestFleet fleet;
  fleet.settings.size_threshold = 1000;
  fleet.add("p0").spec.cache_type = "paged";
  fleet.add("s0").spec.cache_type = "static";
  fleet.add("p1").spec.cache_type = "paged";
  fleet.add("none");
  return fleet;
}

TEST(PickSize, LargeTextsPreferStatic_SmallOnesPaged) {
  for (const auto method : {Method::round_robin, Method::weighted, Method::least_connections, Method::random}) {
    auto fleet = cached();
    fleet.settings.method = method;
    EXPECT_EQ(fleet.shares(20, with_text(1001)), (Shares{{"s0", 20}})) << to_string(method);
    const auto small = fleet.shares(20, with_text(1000));
    EXPECT_EQ(small.count("s0") + small.count("none"), 0U);
    EXPECT_EQ(fleet.preview(with_text(1001)).step, PickStep::size_preference);
  }
  auto fleet = cached();
  EXPECT_EQ(fleet.shares(20, with_text(0)), (Shares{{"p0", 10}, {"p1", 10}}));
}

TEST(PickSize, LargeFleet_FewThatMatch_AreSharedEvenly) {
  for (const auto method : {Method::round_robin, Method::least_connections}) {
    TestFleet fleet;
    fleet.settings.size_threshold = 1000;
    fleet.settings.method = method;
    fleet.add_many(500);
    fleet["u7"].spec.cache_type = fleet["u8"].spec.cache_type = "static";
    const auto shares = fleet.shares(200, with_text(5000));
    EXPECT_EQ(shares.size(), 2U) << to_string(method);
    EXPECT_NEAR(shares.at("u7"), 100, 40);
  }
}

TEST(PickSize, NoneThatMatchesIsAcceptable_AllAreUsed) {
  auto fleet = cached();
  fleet["s0"].spec.max_concurrency = 1;
  fleet.build();
  EXPECT_EQ(fleet.name(with_text(5000)), "s0");
  EXPECT_NE(fleet.name(with_text(5000)), "s0");  // full
  fleet.down("s0");
  EXPECT_EQ(fleet.shares(30, with_text(5000)), (Shares{{"p0", 10}, {"p1", 10}, {"none", 10}}));
  fleet.build();
  EXPECT_EQ(fleet.shares(30, with_text(5000)), (Shares{{"p0", 10}, {"p1", 10}, {"none", 10}}));
  EXPECT_EQ(fleet.preview(with_text(5000)).step, PickStep::policy);
}

TEST(PickSize, Off_DoesNotNarrow) {
  auto fleet = cached();
  fleet.settings.size_threshold = 0;
  EXPECT_EQ(fleet.shares(8, with_text(5000)).size(), 4U);
}

TEST(PickSize, NeverOverridesAffinity) {
  for (const auto method : {Method::session, Method::ip_hash}) {
    auto fleet = cached();
    fleet.settings.method = method;
    Shares large;
    for (std::uint64_t key = 0; key < 100; ++key) {
      const auto owner = fleet.short_pick(with_text(10, with_key(key)));
      EXPECT_EQ(fleet.short_pick(with_text(5000, with_key(key))), owner);
      ++large[owner];
    }
    EXPECT_EQ(large.size(), 4U);
  }
  auto fleet = cached();
  fleet.settings.method = Method::session;
  EXPECT_EQ(fleet.shares(10, with_text(5000)), (Shares{{"s0", 10}}));  // no key: no affinity
}

}  // namespace
}  // namespace svc::router
