#include "router/core/routing_table.hpp"

#include <gtest/gtest.h>

#include "tests/unit/router/pick_fixture.hpp"

namespace svc::router {
namespace {

using namespace std::chrono_literals;

std::string names(const std::vector<const Upstream*>& upstreams) {
  std::string all;
  for (const auto* upstream : upstreams) all += (all.empty() ? "" : " ") + upstream->spec.name;
  return all;
}

std::string order(const Rotation& rotation) {
  std::string text;
  for (std::size_t turn = 0; turn < rotation.size(); ++turn) text += static_cast<char>('0' + rotation.at(turn));
  return text;
}

TEST(RoutingTable, Method_NamesGoBothWays) {
  for (const auto method : {Method::round_robin, Method::weighted, Method::least_connections, Method::ip_hash,
                            Method::random, Method::session}) {
    EXPECT_EQ(parse_method(to_string(method)), method);
  }
  EXPECT_EQ(parse_method("least_conn"), Method::least_connections);
  EXPECT_EQ(parse_method("Random"), std::nullopt);
  EXPECT_EQ(parse_method(""), std::nullopt);
}

TEST(RoutingTable, Empty_HasAnEmptyGroupOfAllAndNoOther) {
  TestFleet fleet;
  const auto& table = fleet.build();
  ASSERT_NE(table.find(""), nullptr);
  EXPECT_TRUE(table.find("")->primaries.empty());
  EXPECT_EQ(table.find("m"), nullptr);
  EXPECT_EQ(table.slots(), 0U);
  EXPECT_FALSE(table.ramping());
}

TEST(RoutingTable, Find_GroupsByModel_ThoseOfUnknownModelsTakeAny) {
  TestFleet fleet;
  fleet.add("a").spec.models = {"x", "y", "x"};
  fleet.add("b").spec.models = {"y"};
  fleet.add("c");
  auto& spare = fleet.add("d").spec;
  spare.models = {"x"};
  spare.backup = true;
  const auto& table = fleet.build();
  EXPECT_EQ(names(table.find("x")->primaries), "a c");
  EXPECT_EQ(names(table.find("x")->backups), "d");
  EXPECT_EQ(names(table.find("y")->primaries), "a b c");
  EXPECT_EQ(names(table.find("z")->primaries), "c");
  EXPECT_EQ(names(table.find("")->primaries), "a b c");
  EXPECT_EQ(table.find("x")->model, "x");
  EXPECT_EQ(table.find("")->model, "");
  EXPECT_EQ(table.slots(), 4U);

  fleet.remove("c");
  EXPECT_EQ(fleet.build().find("z"), nullptr);
}

TEST(RoutingTable, Find_KeepsTheGroupOfInstancesThatAreDown) {
  TestFleet fleet;
  fleet.add("a").spec.models = {"x"};
  fleet.down("a");
  EXPECT_NE(fleet.build().find("x"), nullptr);
}

TEST(RoutingTable, Find_FollowsAliases) {
  TestFleet fleet;
  fleet.add("a").spec.models = {"served"};
  fleet.settings.model_aliases = {{"asked", "served"}, {"other", "asked"}, {"p", "q"}, {"q", "p"}};
  const auto& table = fleet.build();
  EXPECT_EQ(table.served_name("asked"), "served");
  EXPECT_EQ(table.served_name("other"), "served");
  EXPECT_EQ(table.served_name("else"), "else");
  EXPECT_EQ(table.find("asked"), table.find("served"));
  EXPECT_EQ(table.find("p"), nullptr);  // a circle ends
}

TEST(RoutingTable, Method_CanBeSetForAModel) {
  TestFleet fleet;
  fleet.settings.method = Method::random;
  fleet.settings.method_by_model = {{"x", Method::session}, {"unstated", Method::ip_hash}, {"", Method::weighted}};
  fleet.add("a").spec.models = {"x"};
  EXPECT_EQ(fleet.build().find("x")->method, Method::session);
  EXPECT_EQ(fleet.table().find("")->method, Method::random);
  EXPECT_EQ(fleet.table().find("unstated"), nullptr);
  fleet.add("any");
  EXPECT_EQ(fleet.build().find("unstated")->method, Method::ip_hash);
  EXPECT_EQ(fleet.table().find("other")->method, Method::random);
}

TEST(RoutingTable, Ring_OnlyForHashPolicies_KeptWhileTheMembersAreTheSame) {
  TestFleet fleet;
  fleet.add_many(3);
  EXPECT_TRUE(fleet.build().find("")->ring.empty());
  fleet.settings.method = Method::ip_hash;
  EXPECT_EQ(fleet.build().find("")->ring.size(), 480U);
  fleet.down("u1");
  EXPECT_EQ(fleet.build().find("")->ring.size(), 480U);
  fleet["u1"].spec.weight = 2;
  EXPECT_EQ(fleet.build().find("")->ring.size(), 640U);
  fleet.remove("u1");
  EXPECT_EQ(fleet.build().find("")->ring.size(), 320U);
}

TEST(RoutingTable, Panic_WhenTooFewAreUsable) {
  struct Case {
    int ejected, down;
    double threshold;
    bool panic;
  };
  const Case cases[] = {
      {0, 0, 0.5, false},  {5, 0, 0.5, false}, {6, 0, 0.5, true},  {10, 0, 0.5, true},
      {10, 0, 0, false},   {3, 5, 0.5, true},  {2, 5, 0.5, false}, {1, 9, 0.5, true},
      {0, 10, 0.5, false}, {1, 0, 1, true},    {0, 0, 1, false},
  };
  for (const auto& c : cases) {
    TestFleet fleet;
    fleet.add_many(10);
    fleet.add("no weight", 0);
    fleet.settings.panic_threshold = c.threshold;
    for (int i = 0; i < c.ejected; ++i) fleet.eject("u" + std::to_string(i));
    for (int i = 0; i < c.down; ++i) fleet.down("u" + std::to_string(9 - i));
    EXPECT_EQ(fleet.build().find("")->panic, c.panic) << c.ejected << " ejected, " << c.down << " down";
    EXPECT_EQ(fleet.group().total_weight, static_cast<std::uint64_t>(10 - c.ejected - c.down));
    const auto in_rotation = static_cast<std::size_t>(10 - c.down - (c.panic ? 0 : c.ejected));
    EXPECT_EQ(fleet.group().primary_rotation.size(), in_rotation);
  }
}

TEST(RoutingTable, Panic_NotWhenABackupCanTakeOver) {
  TestFleet fleet;
  fleet.add_many(3);
  fleet.add("spare").spec.backup = true;
  for (const auto* name : {"u0", "u1", "u2"}) fleet.eject(name);
  EXPECT_FALSE(fleet.build().find("")->panic);
  fleet.live("u0").ejected_until_ns = 0;
  EXPECT_TRUE(fleet.build().find("")->panic);
  fleet.eject("u0");
  fleet.eject("spare");
  EXPECT_TRUE(fleet.build().find("")->panic);
}

TEST(RoutingTable, Rotation_OfTheUsable_InNginxsOrder) {
  TestFleet fleet;
  fleet.add("a", 5);
  fleet.add("b");
  fleet.add("c");
  fleet.add("d", 0);
  EXPECT_EQ(order(fleet.build().find("")->primary_rotation), "0010200");
  fleet.down("b");
  EXPECT_EQ(order(fleet.build().find("")->primary_rotation), "000200");
  fleet.live("a").serving = false;
  EXPECT_EQ(order(fleet.build().find("")->primary_rotation), "2");
}

TEST(RoutingTable, Rotation_GoesOnInTheNextTable) {
  TestFleet fleet;
  fleet.add_many(3);
  fleet.build();
  EXPECT_EQ(fleet.names(2), "u0 u1");
  fleet.build();
  EXPECT_EQ(fleet.names(2), "u2 u0");
}

TEST(RoutingTable, SlowStart_RampsTheRotation) {
  TestFleet fleet;
  fleet.add("a");
  fleet.add("b");
  fleet.settings.slow_start = 30s;
  fleet.live("b").ramp_began_ns = fleet.now.time_since_epoch().count();
  EXPECT_TRUE(fleet.build().ramping());
  EXPECT_EQ(fleet.group().primary_rotation.size(), 11U);  // 10 : 1
  fleet.now += 15s;
  EXPECT_TRUE(fleet.build().ramping());
  EXPECT_EQ(fleet.group().primary_rotation.size(), 31U);  // 20 : 11
  fleet.now += 15s;
  EXPECT_FALSE(fleet.build().ramping());
  EXPECT_EQ(fleet.group().primary_rotation.size(), 2U);
}

TEST(RoutingTable, RampShare_IsLinearFromATenth) {
  UpstreamLive live(0, 1);
  EXPECT_EQ(ramp_share(live, 30s, kNow), 1);
  live.ramp_began_ns = kNow.time_since_epoch().count();
  EXPECT_DOUBLE_EQ(ramp_share(live, 30s, kNow), 0.1);
  EXPECT_DOUBLE_EQ(ramp_share(live, 30s, kNow + 10s), 0.4);
  EXPECT_EQ(ramp_share(live, 30s, kNow + 30s), 1);
  EXPECT_EQ(ramp_share(live, 30s, kNow + 300s), 1);
  EXPECT_DOUBLE_EQ(ramp_share(live, 30s, kNow - 10s), 0.1);  // data threads know a slightly older time
  EXPECT_EQ(ramp_share(live, 0s, kNow), 1);
}

TEST(RoutingTable, CacheTypes_HaveRotationsOfTheirOwn) {
  TestFleet fleet;
  fleet.add("a").spec.cache_type = "paged";
  fleet.add("b").spec.cache_type = "static";
  fleet.add("c");
  fleet.build();
  EXPECT_TRUE(fleet.group().primary_by_cache[0].empty());
  fleet.settings.size_threshold = 1000;
  fleet.build();
  EXPECT_EQ(order(fleet.group().primary_by_cache[static_cast<std::size_t>(CacheType::paged)]), "0");
  EXPECT_EQ(order(fleet.group().primary_by_cache[static_cast<std::size_t>(CacheType::static_cache)]), "1");
}

}  // namespace
}  // namespace svc::router
