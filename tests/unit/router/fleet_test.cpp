#include <set>

#include "tests/unit/router/fleet_fixture.hpp"

namespace svc::router {
namespace {

TEST_F(FleetTest, Known_OnlyOnceAnythingWasLearned) {
  EXPECT_FALSE(fleet_.known());
  fleet_.set_static({});
  EXPECT_FALSE(fleet_.known());
  list({}, kAll, kIncomplete);
  EXPECT_FALSE(fleet_.known()) << "an empty list of a registry that is warming says nothing";
  list({});
  EXPECT_TRUE(fleet_.known());
}

TEST_F(FleetTest, WholeList_MissingOnesAreDroppedAtOnce) {
  EXPECT_TRUE(list({spec("a"), spec("b")}));
  const auto live = find("a").live;
  EXPECT_FALSE(list({spec("a"), spec("b")}));
  EXPECT_TRUE(list({spec("b")}));
  EXPECT_EQ(names(), "b");
  EXPECT_TRUE(live->gone.load());
}

TEST_F(FleetTest, HealthyList_MissingOnesStayForTheGracePeriod) {
  list({spec("a"), spec("b")}, kHealthyOnly);
  EXPECT_FALSE(list({spec("b")}, kHealthyOnly));
  now_ += 59s;
  EXPECT_FALSE(list({spec("b")}, kHealthyOnly));
  EXPECT_FALSE(fleet_.sweep(now_));
  EXPECT_EQ(names(), "a b");
  now_ += 1s;
  EXPECT_TRUE(fleet_.sweep(now_));
  EXPECT_EQ(names(), "b");
}

TEST_F(FleetTest, HealthyList_OneThatComesBackStartsOver) {
  list({spec("a")}, kHealthyOnly);
  list({}, kHealthyOnly);
  now_ += 50s;
  EXPECT_FALSE(list({spec("a")}, kHealthyOnly));
  now_ += 50s;
  EXPECT_FALSE(fleet_.sweep(now_));
  list({}, kHealthyOnly);
  now_ += 50s;
  EXPECT_FALSE(fleet_.sweep(now_));
}

TEST_F(FleetTest, HealthyList_PinnedOnesStayForGood) {
  auto pinned = spec("a");
  pinned.pinned = true;
  list({pinned}, kHealthyOnly);
  list({}, kHealthyOnly);
  now_ += 24h;
  EXPECT_FALSE(fleet_.sweep(now_));
  EXPECT_EQ(names(), "a");
}

TEST_F(FleetTest, IncompleteList_AddsAndForgetsNothing) {
  list({spec("a"), spec("b")});
  EXPECT_FALSE(list({}, kAll, kIncomplete));
  EXPECT_TRUE(list({spec("c")}, kAll, kIncomplete));
  EXPECT_EQ(names(), "a b c");
  EXPECT_TRUE(list({spec("c")}));
  EXPECT_EQ(names(), "c");
}

TEST_F(FleetTest, Change_AddsUpdatesAndDrops) {
  EXPECT_TRUE(fleet_.apply_change("a", spec("a"), now_));
  EXPECT_TRUE(fleet_.known());
  EXPECT_FALSE(fleet_.apply_change("a", spec("a"), now_));
  auto heavier = spec("a");
  heavier.weight = 5;
  const auto live = find("a").live;
  EXPECT_TRUE(fleet_.apply_change("a", heavier, now_));
  EXPECT_EQ(find("a").spec.weight, 5);
  EXPECT_EQ(find("a").live, live);
  EXPECT_TRUE(fleet_.apply_change("a", std::nullopt, now_));
  EXPECT_FALSE(fleet_.apply_change("a", std::nullopt, now_));
  EXPECT_EQ(names(), "");
}

TEST_F(FleetTest, Change_DrainReachesTheSharedFlagAtOnce) {
  list({spec("a", "g1")});
  const auto live = find("a").live;
  auto draining = spec("a", "g1");
  draining.serving = false;
  EXPECT_TRUE(fleet_.apply_change("a", draining, now_));
  EXPECT_FALSE(live->serving.load());
  fleet_.apply_change("a", spec("a", "g1"), now_);
  EXPECT_TRUE(live->serving.load());
}

TEST_F(FleetTest, NewIncarnation_StartsAfresh) {
  list({spec("a", "g1")});
  fleet_.learn_models("a", "g1", {"m"});
  const auto before = find("a").live;
  EXPECT_TRUE(list({spec("a", "g2")}));
  const auto after = find("a");
  EXPECT_NE(after.live, before);
  EXPECT_NE(after.live->slot, before->slot) << "both are alive for a while";
  EXPECT_TRUE(before->gone.load());
  EXPECT_FALSE(after.live->gone.load());
  EXPECT_TRUE(after.spec.models.empty()) << "what the old one served is not known of the new one";
}

TEST_F(FleetTest, NewAddress_StartsAfresh) {
  list({spec("a")});
  const auto before = find("a").live;
  auto moved = spec("a");
  moved.endpoint.port = 5002;
  list({moved});
  EXPECT_NE(find("a").live, before);
}

TEST_F(FleetTest, Slots_AreUsedAgainAndStayDense) {
  for (int round = 0; round < 50; ++round) {
    std::vector<UpstreamSpec> specs;
    for (int i = 0; i < 20; ++i) specs.push_back(spec("s" + std::to_string(i), std::to_string(round)));
    list(std::move(specs));
    std::set<std::uint32_t> slots;
    for (const auto& upstream : fleet_.upstreams()) slots.insert(upstream.live->slot);
    EXPECT_EQ(slots.size(), 20U);
    EXPECT_LT(*slots.rbegin(), 40U);
  }
}

TEST_F(FleetTest, Slots_OfThoseStillHeldAreNotUsedAgain) {
  list({spec("a", "1")});
  const auto held = find("a").live;
  for (int i = 2; i < 20; ++i) {
    list({spec("a", std::to_string(i))});
    EXPECT_NE(find("a").live->slot, held->slot);
  }
}

TEST_F(FleetTest, Static_StaysWhateverTheRegistrySays) {
  EXPECT_TRUE(fleet_.set_static({spec("fixed")}));
  EXPECT_TRUE(fleet_.known());
  list({spec("a")});
  EXPECT_EQ(names(), "a fixed");
  list({});
  EXPECT_FALSE(fleet_.apply_change("fixed", std::nullopt, now_));
  now_ += 24h;
  fleet_.sweep(now_);
  EXPECT_EQ(names(), "fixed");
}

TEST_F(FleetTest, Static_IsNotTheWholePictureWhileARegistryIsNotHeard) {
  fleet_.reconfigure({.has_registry = true});
  EXPECT_TRUE(fleet_.set_static({spec("fixed")}));
  EXPECT_FALSE(fleet_.known());
  list({}, kAll, kIncomplete);
  EXPECT_FALSE(fleet_.known()) << "it is warming: it has nothing to say yet";
  list({});
  EXPECT_TRUE(fleet_.known());
}

TEST_F(FleetTest, Static_WinsOverARegisteredOneWhichComesBackAfterIt) {
  auto registered = spec("x", "g7");
  registered.weight = 9;
  list({registered});
  EXPECT_TRUE(fleet_.set_static({spec("x")}));
  EXPECT_EQ(find("x").spec.weight, 1);
  EXPECT_FALSE(list({registered}));
  EXPECT_FALSE(fleet_.apply_change("x", registered, now_));
  ASSERT_EQ(fleet_.registry_specs().size(), 1U);
  EXPECT_EQ(fleet_.registry_specs()[0].weight, 9);
  EXPECT_TRUE(fleet_.set_static({}));
  EXPECT_EQ(find("x").spec.weight, 9);
  fleet_.set_static({spec("x")});
  fleet_.apply_change("x", std::nullopt, now_);
  fleet_.set_static({});
  EXPECT_EQ(names(), "");
}

TEST_F(FleetTest, Static_ReloadKeepsTheUnchanged) {
  fleet_.set_static({spec("a"), spec("b")});
  const auto live = find("a").live;
  EXPECT_FALSE(fleet_.set_static({spec("a"), spec("b")}));
  EXPECT_TRUE(fleet_.set_static({spec("a"), spec("c")}));
  EXPECT_EQ(names(), "a c");
  EXPECT_EQ(find("a").live, live);
  EXPECT_TRUE(fleet_.registry_specs().empty());
}

TEST_F(FleetTest, View_ServesUntilTheRegistryAnswers) {
  EXPECT_TRUE(fleet_.load_view({spec("a"), spec("b")}, now_));
  EXPECT_TRUE(fleet_.known());
  EXPECT_TRUE(list({spec("b")}));
  EXPECT_EQ(names(), "b");
}

TEST_F(FleetTest, View_OfAPolledRegistryIsGivenTheGracePeriod) {
  fleet_.load_view({spec("a")}, now_);
  EXPECT_FALSE(list({}, kHealthyOnly));
  EXPECT_EQ(names(), "a");
  now_ += 60s;
  EXPECT_TRUE(fleet_.sweep(now_));
}

}  // namespace
}  // namespace svc::router
