// What a fleet makes of models, limits and lapsed leases.
#include "tests/unit/router/fleet_fixture.hpp"

namespace svc::router {
namespace {

TEST_F(FleetTest, LearnedModels_OnlyWhereTheRecordStatesNone) {
  auto hinted = spec("hinted");
  hinted.models = {"hint"};
  auto stated = spec("stated");
  stated.models = {"m"};
  stated.models_stated = true;
  list({hinted, stated, spec("silent", "g1")});
  EXPECT_TRUE(fleet_.learn_models("hinted", "", {"real"}));
  EXPECT_FALSE(fleet_.learn_models("hinted", "", {"real"}));
  EXPECT_FALSE(fleet_.learn_models("stated", "", {"other"}));
  EXPECT_FALSE(fleet_.learn_models("silent", "g0", {"of the one before"}));
  EXPECT_FALSE(fleet_.learn_models("nobody", "", {"x"}));
  EXPECT_FALSE(fleet_.learn_models("silent", "g1", {}));
  EXPECT_EQ(find("hinted").spec.models, std::vector<std::string>{"real"});
  EXPECT_EQ(find("stated").spec.models, std::vector<std::string>{"m"});
  EXPECT_TRUE(find("silent").spec.models.empty());
  hinted.weight = 3;
  list({hinted, stated, spec("silent", "g1")});
  EXPECT_EQ(find("hinted").spec.models, std::vector<std::string>{"real"}) << "an update keeps what was learned";
}

TEST_F(FleetTest, Concurrency_StatedOnlyWhenItIsHonoured) {
  auto stating = spec("a");
  stating.max_concurrency = 4;
  list({stating, spec("b")});
  EXPECT_EQ(find("a").spec.max_concurrency, 0U);
  fleet_.reconfigure({.max_concurrency = 16, .honour_stated_concurrency = true});
  EXPECT_EQ(find("a").spec.max_concurrency, 4U);
  EXPECT_EQ(find("b").spec.max_concurrency, 16U);
  fleet_.reconfigure({.max_concurrency = 16});
  EXPECT_EQ(find("a").spec.max_concurrency, 16U);
}

TEST_F(FleetTest, LapsedLeases_OfAFewAreBelieved) {
  list({spec("a"), spec("b"), lapsed("c"), lapsed("d")});
  EXPECT_FALSE(find("c").spec.serving);
  EXPECT_FALSE(find("d").live->serving.load());
  list({lapsed("a"), lapsed("b")});
  EXPECT_FALSE(find("a").spec.serving) << "two are no mass";
}

TEST_F(FleetTest, LapsedLeases_OfMostMeanThatTheRegistryIsCutOff) {
  list({spec("a"), spec("b"), spec("c"), spec("d"), spec("e")});
  fleet_.apply_change("a", lapsed("a"), now_);
  fleet_.apply_change("b", lapsed("b"), now_);
  EXPECT_FALSE(find("a").live->serving.load());
  EXPECT_TRUE(fleet_.apply_change("c", lapsed("c"), now_));
  for (const char* name : {"a", "b", "c"}) {
    EXPECT_TRUE(find(name).spec.serving) << name;
    EXPECT_TRUE(find(name).live->serving.load()) << name;
  }
  fleet_.apply_change("a", spec("a"), now_);
  EXPECT_FALSE(find("b").spec.serving) << "two of five again: the registry is believed";
}

TEST_F(FleetTest, LapsedLeases_DrainingOnesNeverServe) {
  auto draining = spec("d");
  draining.serving = false;
  list({lapsed("a"), lapsed("b"), lapsed("c"), draining});
  EXPECT_TRUE(find("a").spec.serving);
  EXPECT_FALSE(find("d").spec.serving);
}

}  // namespace
}  // namespace svc::router
