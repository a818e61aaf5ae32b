// Removal of stale services and self-preservation.
#include <gtest/gtest.h>

#include <set>

#include "registry/core/registry_state.hpp"
#include "tests/unit/registry/fixture.hpp"

namespace svc::registry {
namespace {

using namespace test;

TEST(RegistrySweep, Stale_IsRemovedAfterItsTermAndNotBefore) {
  Driver d;
  d.enroll(make_spec("a"));
  d.enroll(make_spec("kept"));
  for (int i = 0; i < 5; ++i) {
    d.pass(60s);
    d.beat("kept");
    EXPECT_EQ(kinds(d.sweep()), "");
  }
  d.pass(1ns);
  const auto events = d.sweep();
  EXPECT_EQ(kinds(events), "removed_stale:a");
  EXPECT_EQ(events.at(0).detail, "no heartbeat for 300 s");
  EXPECT_EQ(d.names(), std::vector<std::string>{"kept"});
}

TEST(RegistrySweep, RenewedWhileItWasStored_IsSkipped) {
  Driver d;
  d.enroll(make_spec("a"));
  d.pass(301s);
  auto planned = d.state.plan_sweep(d.now, [] { return std::uint64_t{0}; });
  ASSERT_EQ(planned.size(), 1U);
  EXPECT_EQ(planned[0].cause, Change::Cause::expired);
  d.beat("a");
  EXPECT_TRUE(d.state.apply(planned[0], d.now, d.wall()).empty());
  EXPECT_TRUE(d.healthy("a"));
  d.pass(301s);
  planned = d.state.plan_sweep(d.now, [] { return std::uint64_t{0}; });
  d.enroll(make_spec("a"));
  EXPECT_TRUE(d.state.apply(planned.at(0), d.now, d.wall()).empty());
}

TEST(RegistrySweep, ReplacedAndStaleAgain_AnOldRemovalDoesNotApply) {
  Driver d;
  d.enroll(make_spec("a"));
  d.pass(301s);
  const auto planned = d.state.plan_sweep(d.now, [] { return std::uint64_t{0}; });
  d.enroll(make_spec("a"));
  d.pass(301s);
  EXPECT_FALSE(d.state.still_stale(planned.at(0), d.now));
  EXPECT_TRUE(d.state.apply(planned.at(0), d.now, d.wall()).empty());
  EXPECT_EQ(kinds(d.sweep()), "removed_stale:a");
}

TEST(RegistrySweep, ManyStale_TakesTheShareAtRandom) {
  Driver d;
  for (int i = 0; i < 100; ++i) d.enroll(make_spec("s" + std::to_string(i)));
  for (int round = 0; round < 11; ++round) {  // 40 of the 100 fall silent
    d.pass(30s);
    for (int i = 40; i < 100; ++i) d.beat("s" + std::to_string(i));
  }
  std::set<std::string> removed;
  for (const auto& event : d.sweep()) removed.insert(event.name);
  EXPECT_EQ(removed.size(), 15U);
  EXPECT_EQ(d.state.removal_status().waiting, 25U);
  EXPECT_FALSE(d.state.removal_status().on_hold);
  std::set<std::string> first_fifteen;
  for (int i = 0; i < 15; ++i) first_fifteen.insert("s" + std::to_string(i));
  EXPECT_NE(removed, first_fifteen);
  EXPECT_EQ(d.sweep().size(), 12U);  // 15 % of 85
}

TEST(RegistrySweep, NetworkCut_HoldsUntilHalfIsBackOrAnHourHasPassed) {
  Driver d;
  for (int i = 0; i < 20; ++i) d.enroll(make_spec("s" + std::to_string(i)));
  d.pass(10min);
  EXPECT_TRUE(d.state.removal_status().on_hold);
  EXPECT_EQ(d.state.removal_status().since, kDriverStart + 120s);
  EXPECT_TRUE(d.sweep().empty());
  EXPECT_EQ(d.state.removal_status().waiting, 20U);
  for (int i = 0; i < 10; ++i) d.beat("s" + std::to_string(i));
  d.pass(1s);
  EXPECT_FALSE(d.state.removal_status().on_hold);
  EXPECT_EQ(d.sweep().size(), 3U);

  Driver hour;
  for (int i = 0; i < 20; ++i) hour.enroll(make_spec("s" + std::to_string(i)));
  hour.pass(120s + 1h - 1s);
  EXPECT_TRUE(hour.sweep().empty());
  hour.pass(1s);
  EXPECT_EQ(hour.sweep().size(), 3U);
}

}  // namespace
}  // namespace svc::registry
