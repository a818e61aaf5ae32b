#include "router/core/pick.hpp"

#include <gtest/gtest.h>

#include <thread>

#include "tests/unit/router/pick_fixture.hpp"

namespace svc::router {
namespace {

using namespace std::chrono_literals;
using Shares = std::map<std::string, int>;

TEST(Pick, EmptyGroup_NoneUsable) {
  TestFleet fleet;
  EXPECT_EQ(fleet.name(), "[none_usable]");
  EXPECT_EQ(fleet.preview().problem, PickProblem::none_usable);
}

TEST(Pick, CountsTheRequestIn) {
  TestFleet fleet;
  fleet.add("a");
  EXPECT_EQ(fleet.name(), "a");
  EXPECT_EQ(fleet.name(), "a");
  EXPECT_EQ(fleet.live("a").in_flight, 2U);
}

TEST(Pick, RoundRobin_FollowsNginxsOrder) {
  TestFleet fleet;
  fleet.add("a", 5);
  fleet.add("b");
  fleet.add("c");
  EXPECT_EQ(fleet.names(14), "a a b a c a a a a b a c a a");
  fleet.settings.method = Method::weighted;
  fleet.build();
  EXPECT_EQ(fleet.names(7), "a a b a c a a");
}

TEST(Pick, Preview_NeitherCountsNorTakesATurn) {
  for (const auto method : {Method::round_robin, Method::least_connections, Method::random, Method::ip_hash}) {
    TestFleet fleet;
    fleet.settings.method = method;
    fleet.add_many(3);
    PickContext context;
    context.random = 5;
    for (int i = 0; i < 5; ++i) {
      const auto seen = fleet.preview(context);
      ASSERT_NE(seen.upstream, nullptr);
      EXPECT_EQ(seen.upstream->live->in_flight, 0U);
      EXPECT_EQ(fleet.preview(context).upstream, seen.upstream);
      EXPECT_EQ(fleet.pick(context).upstream, seen.upstream);
      --seen.upstream->live->in_flight;
    }
  }
}

TEST(Pick, WeightZero_TakesNoNewWork) {
  for (const auto method : {Method::round_robin, Method::least_connections, Method::random, Method::session}) {
    TestFleet fleet;
    fleet.settings.method = method;
    fleet.add("none", 0);
    EXPECT_EQ(fleet.name(), "[none_usable]");
    fleet.add("a");
    fleet.build();
    EXPECT_EQ(fleet.shares(20), (Shares{{"a", 20}}));
  }
}

TEST(Pick, Unusable_ArePassedOver_AndLeaveNoDoubleWork) {
  TestFleet fleet;
  fleet.add_many(4);
  fleet.build();
  fleet.down("u1");  // after the table was made
  EXPECT_EQ(fleet.shares(30), (Shares{{"u0", 10}, {"u2", 10}, {"u3", 10}}));
  fleet.live("u2").serving = false;
  fleet.live("u3").verdict = ProbeVerdict::hung;
  EXPECT_EQ(fleet.shares(10), (Shares{{"u0", 10}}));
}

TEST(Pick, UsableAgainSinceTheTableWasMade_IsFoundWhenNoOtherIsLeft) {
  for (const auto method : {Method::round_robin, Method::least_connections, Method::random, Method::session}) {
    TestFleet fleet;
    fleet.settings.method = method;
    fleet.add_many(2);
    fleet.down("u0");
    fleet.build();
    fleet.live("u0").verdict = ProbeVerdict::up;
    fleet.down("u1");
    EXPECT_EQ(fleet.name(), "u0");
  }
}

TEST(Pick, Tried_AreNeverPickedAgain) {
  for (const auto method : {Method::round_robin, Method::weighted, Method::least_connections, Method::ip_hash,
                            Method::random, Method::session}) {
    for (const std::size_t count : {3U, 100U}) {
      TestFleet fleet;
      fleet.settings.method = method;
      fleet.add_many(count);
      std::vector<const UpstreamLive*> tried;
      for (std::size_t i = 0; i < count; ++i) {
        PickContext context;
        context.session_hash = 77;
        context.tried = tried;
        const auto result = fleet.pick(context);
        ASSERT_NE(result.upstream, nullptr) << to_string(method);
        const auto* live = result.upstream->live.get();
        ASSERT_EQ(std::count(tried.begin(), tried.end(), live), 0);
        tried.push_back(live);
      }
      PickContext context;
      context.tried = tried;
      EXPECT_EQ(fleet.name(context), "[none_usable]");
    }
  }
}

TEST(Pick, LeastConnections_IsTheExactMinimum) {
  TestFleet fleet;
  fleet.settings.method = Method::least_connections;
  fleet.add("a", 1);
  fleet.add("b", 2);
  fleet.add("c", 4);
  fleet.live("a").in_flight = 2;
  fleet.live("b").in_flight = 3;
  fleet.live("c").in_flight = 7;
  EXPECT_EQ(fleet.name(), "b");        // 2, 1.5, 1.75
  EXPECT_EQ(fleet.name(), "c");        // 2, 2, 1.75
  const auto rest = fleet.shares(30);  // all are 2
  EXPECT_EQ(rest.size(), 3U);
}

TEST(Pick, LeastConnections_IdleFleet_IsSpreadByWeight) {
  TestFleet fleet;
  fleet.settings.method = Method::least_connections;
  fleet.add_many(5);
  EXPECT_EQ(fleet.shares(50), (Shares{{"u0", 10}, {"u1", 10}, {"u2", 10}, {"u3", 10}, {"u4", 10}}));
  fleet.down("u1");  // its neighbour gets no more than the others
  EXPECT_EQ(fleet.shares(40), (Shares{{"u0", 10}, {"u2", 10}, {"u3", 10}, {"u4", 10}}));

  TestFleet weighted;
  weighted.settings.method = Method::least_connections;
  weighted.add("a", 5);
  weighted.add("b");
  weighted.add("c");
  EXPECT_EQ(weighted.names(7), "a a b a c a a");
}

TEST(Pick, LeastConnections_LightEqualsBesideABusyHeavyOne_AreSpread) {
  TestFleet fleet;
  fleet.settings.method = Method::least_connections;
  fleet.add("heavy", 1000);
  fleet.add("a");
  fleet.add("b");
  fleet.live("heavy").in_flight = 1;
  const auto shares = fleet.shares(400);
  EXPECT_NEAR(shares.at("a"), 200, 60);
  EXPECT_NEAR(shares.at("b"), 200, 60);
}

TEST(Pick, LeastConnections_RampingOne_CountsForLess) {
  TestFleet fleet;
  fleet.settings.method = Method::least_connections;
  fleet.add_many(2);
  fleet.live("u1").ramp_began_ns = fleet.now.time_since_epoch().count();
  fleet.live("u0").in_flight = 5;
  fleet.live("u1").in_flight = 1;
  EXPECT_EQ(fleet.name(), "u0");  // 5 / 1 against 1 / 0.1
  fleet.now += 15s;
  EXPECT_EQ(fleet.name(), "u1");  // 6 / 1 against 1 / 0.55
}

TEST(Pick, LeastConnections_LargeFleet_StaysEven) {
  TestFleet fleet;
  fleet.settings.method = Method::least_connections;
  fleet.add_many(200);
  fleet.build();
  for (int i = 0; i < 2000; ++i) fleet.pick();
  std::uint32_t most = 0;
  for (int i = 0; i < 200; ++i) most = std::max(most, fleet.live("u" + std::to_string(i)).in_flight.load());
  EXPECT_LE(most, 14U);  // of 10; alone at random it would be about 20
}

TEST(Pick, Random_FollowsTheWeights) {
  TestFleet fleet;
  fleet.settings.method = Method::random;
  fleet.add("a", 3);
  fleet.add("b", 1);
  const auto shares = fleet.shares(4000);
  EXPECT_NEAR(shares.at("a"), 3000, 150);
  EXPECT_NEAR(shares.at("b"), 1000, 150);
}

TEST(Pick, MaxConcurrency_FullOnesArePassedOver_AllFullIsBusy) {
  for (const auto method : {Method::round_robin, Method::least_connections, Method::random, Method::ip_hash}) {
    for (const std::size_t count : {3U, 100U}) {
      TestFleet fleet;
      fleet.settings.method = method;
      fleet.add_many(count);
      for (std::size_t i = 0; i < count; ++i) fleet["u" + std::to_string(i)].spec.max_concurrency = 2;
      fleet.add("spare").spec.backup = true;
      fleet.build();
      for (std::size_t i = 0; i < 2 * count; ++i) ASSERT_NE(fleet.pick().upstream, nullptr);
      EXPECT_EQ(fleet.name(), "[all_busy]") << to_string(method);
      EXPECT_EQ(fleet.preview().problem, PickProblem::all_busy);
      EXPECT_EQ(fleet.live("spare").in_flight, 0U);  // is not for the busy hour
      for (std::size_t i = 0; i < count; ++i) EXPECT_EQ(fleet.live("u" + std::to_string(i)).in_flight, 2U);
      --fleet.live("u1").in_flight;
      EXPECT_EQ(fleet.name(), "u1");
    }
  }
}

TEST(Pick, MaxConcurrency_ManyThreads_NeverExceeded) {
  for (const auto method : {Method::round_robin, Method::least_connections, Method::random, Method::session}) {
    TestFleet fleet;
    fleet.settings.method = method;
    fleet.add_many(4);
    for (int i = 0; i < 4; ++i) fleet["u" + std::to_string(i)].spec.max_concurrency = 2;
    const auto& group = *fleet.build().find("");
    std::atomic<int> exceeded{0};
    std::atomic<int> served{0};
    std::vector<std::thread> threads;
    for (std::uint64_t number = 1; number <= 12; ++number) {
      threads.emplace_back([&, number] {
        std::vector<const Upstream*> held;
        PickContext context;
        context.now = fleet.now;
        for (std::uint64_t i = 1; i < 4000; ++i) {
          context.random = number * i;
          context.session_hash = number * i * 0x9E3779B97F4A7C15ULL;
          const auto result = pick(group, fleet.settings, context);
          if (result.upstream != nullptr) {
            if (result.upstream->live->in_flight > 2) ++exceeded;
            ++served;
            held.push_back(result.upstream);
          } else if (result.problem != PickProblem::all_busy) {
            ++exceeded;
          }
          while (!held.empty() && (i % 3 == 0 || result.upstream == nullptr)) {
            --held.back()->live->in_flight;
            held.pop_back();
          }
        }
        for (const auto* upstream : held) --upstream->live->in_flight;
      });
    }
    for (auto& thread : threads) thread.join();
    EXPECT_EQ(exceeded, 0) << to_string(method);
    EXPECT_GT(served, 1000);
    for (int i = 0; i < 4; ++i) EXPECT_EQ(fleet.live("u" + std::to_string(i)).in_flight, 0U);
  }
}

TEST(Pick, PickStep_HasNames) {
  EXPECT_EQ(to_string(PickStep::policy), "policy");
  EXPECT_EQ(to_string(PickStep::affinity), "affinity");
  EXPECT_EQ(to_string(PickStep::affinity_overflow), "affinity_overflow");
  EXPECT_EQ(to_string(PickStep::size_preference), "size_preference");
  EXPECT_EQ(to_string(PickStep::panic), "panic");
  EXPECT_EQ(to_string(PickStep::backup), "backup");
}

}  // namespace
}  // namespace svc::router
