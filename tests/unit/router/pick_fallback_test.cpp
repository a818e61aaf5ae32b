// What is chosen when too few primaries, or none, are usable.
#include <gtest/gtest.h>

#include "router/core/pick.hpp"
#include "tests/unit/router/pick_fixture.hpp"

namespace svc::router {
namespace {

using namespace std::chrono_literals;
using Shares = std::map<std::string, int>;

TEST(PickFallback, Backups_OnlyWhenNoPrimaryIsUsable) {
  for (const auto method : {Method::round_robin, Method::least_connections, Method::ip_hash, Method::random}) {
    TestFleet fleet;
    fleet.settings.method = method;
    fleet.add_many(2);
    fleet.add("spare").spec.backup = true;
    fleet.build();
    EXPECT_EQ(fleet.shares(20).count("spare"), 0U);
    fleet.down("u0");
    EXPECT_EQ(fleet.shares(4), (Shares{{"u1", 4}}));
    fleet.eject("u1");
    EXPECT_EQ(fleet.shares(4), (Shares{{"spare", 4}})) << to_string(method);
    fleet.build();
    EXPECT_EQ(fleet.shares(4), (Shares{{"spare", 4}}));
    EXPECT_EQ(fleet.pick().step, PickStep::backup);
    fleet.down("spare");  // then the ejected one is better than none
    EXPECT_EQ(fleet.preview().step, PickStep::panic);
    EXPECT_EQ(fleet.name(), "u1");
    fleet.down("u1");
    EXPECT_EQ(fleet.name(), "[none_usable]");
  }
}

TEST(PickFallback, Panic_TooFewUsable_AllAreUsed) {
  TestFleet fleet;
  fleet.add_many(4);
  for (const auto* name : {"u0", "u1", "u2"}) fleet.eject(name);
  fleet.build();
  EXPECT_EQ(fleet.shares(40), (Shares{{"u0", 10}, {"u1", 10}, {"u2", 10}, {"u3", 10}}));
  EXPECT_EQ(fleet.pick().step, PickStep::panic);
}

TEST(PickFallback, Panic_WhoFailedOnceGoesToTheLiving) {
  for (const auto method : {Method::round_robin, Method::least_connections, Method::ip_hash, Method::random}) {
    TestFleet fleet;
    fleet.settings.method = method;
    fleet.add_many(6);
    for (const auto* name : {"u0", "u1", "u2", "u3", "u4"}) fleet.eject(name);
    fleet.build();
    PickContext again;
    const std::vector<const UpstreamLive*> one = {&fleet.live("u0")};
    again.tried = one;
    EXPECT_EQ(fleet.shares(20, again), (Shares{{"u5", 20}})) << to_string(method);
    const std::vector<const UpstreamLive*> both = {&fleet.live("u0"), &fleet.live("u5")};
    again.tried = both;
    EXPECT_EQ(fleet.pick(again).step, PickStep::panic) << to_string(method);
  }
}

TEST(PickFallback, Ejected_AreUsedAsTheLastResort_UnlessThereIsNoPanic) {
  for (const auto method : {Method::round_robin, Method::least_connections, Method::ip_hash, Method::random}) {
    TestFleet fleet;
    fleet.settings.method = method;
    fleet.add_many(3);
    fleet.build();
    for (const auto* name : {"u0", "u1", "u2"}) fleet.eject(name);  // since the table was made
    EXPECT_EQ(fleet.pick().step, PickStep::panic);
    fleet.build();
    EXPECT_EQ(fleet.pick().step, PickStep::panic);
    fleet.now += 31s;
    EXPECT_NE(fleet.pick().step, PickStep::panic);

    fleet.eject("u0");
    fleet.eject("u1");
    fleet.eject("u2");
    fleet.settings.panic_threshold = 0;
    fleet.build();
    EXPECT_EQ(fleet.name(), "[none_usable]");
  }
}

TEST(PickFallback, Ejected_BackupIsTheVeryLast) {
  TestFleet fleet;
  fleet.add("spare").spec.backup = true;
  fleet.eject("spare");
  EXPECT_EQ(fleet.name(), "spare");
}

}  // namespace
}  // namespace svc::router
