// Pauses, restarts, changed settings: nobody loses a lease because the registry was away.
#include <gtest/gtest.h>

#include "registry/core/registry_state.hpp"
#include "tests/unit/registry/fixture.hpp"

namespace svc::registry {
namespace {

using namespace test;

TEST(RegistryAway, Pause_OfTheProcess_GivesEveryLeaseOneFullTerm) {
  Driver d;
  d.enroll(make_spec("a"));
  d.enroll(make_spec("b"));
  d.pass(100s);
  EXPECT_EQ(kinds(d.pause(60s)), "");  // the lease ended within the pause
  EXPECT_TRUE(d.healthy("a"));
  EXPECT_EQ(d.remaining("a"), 120s);
  EXPECT_EQ(d.state.pauses(), 1U);
  d.pass(60s);
  d.beat("b");
  EXPECT_EQ(kinds(d.pass(60s)), "lease_expired:a");
}

TEST(RegistryAway, Pause_FirstSeenByAnyCall_Counts) {
  const auto calls = {+[](Driver& d) { d.beat("b"); },
                      +[](Driver& d) { d.probe("b", true); },
                      +[](Driver& d) { (void)d.state.plan_remove("b", d.now); },
                      +[](Driver& d) { d.enroll(make_spec("c")); },
                      +[](Driver& d) { (void)d.state.plan_update("b", {}, d.now); },
                      +[](Driver& d) { d.sweep(); }};
  for (const auto call : calls) {
    Driver d;
    d.enroll(make_spec("a"));
    d.enroll(make_spec("b"));
    d.now += 10min;
    call(d);
    EXPECT_EQ(kinds(d.state.advance(d.now)), "");
    EXPECT_EQ(d.remaining("a"), 120s);
  }
}

TEST(RegistryAway, Pause_UpToTheThreshold_IsNone) {
  Driver d;
  d.enroll(make_spec("a"));
  for (int i = 0; i < 59; ++i) EXPECT_EQ(kinds(d.pause(2s)), "") << i;
  EXPECT_EQ(kinds(d.pause(2s)), "lease_expired:a");
}

TEST(RegistryAway, Pause_ALeaseThatHadEnded_StaysEnded) {
  Driver d;
  d.enroll(make_spec("a"));
  d.pass(121s);
  d.pause(60s);
  EXPECT_FALSE(d.healthy("a"));
  EXPECT_EQ(d.state.alive(), 0U);
  d.pass(299s);
  EXPECT_TRUE(d.sweep().empty());  // but its removal waits for a full term as well
  d.pass(2s);
  EXPECT_EQ(kinds(d.sweep()), "removed_stale:a");
}

TEST(RegistryAway, Time_GoingBack_IsIgnored) {
  Driver d;
  d.enroll(make_spec("a"));
  d.pass(100s);
  EXPECT_TRUE(d.state.advance(kDriverStart).empty());
  EXPECT_EQ(kinds(d.state.advance(d.now + 2s)), "");  // no gap is seen: the latest time counts
  d.now += 2s;
  EXPECT_EQ(kinds(d.pass(18s)), "lease_expired:a");
}

TEST(RegistryAway, Restore_AfterARestart_EveryServiceIsBackWithAFullLease) {
  Driver before;
  before.enroll(make_spec("z"));
  before.enroll(make_spec("a", "10.0.0.2"));
  std::vector<StoredService> stored;
  before.state.for_each({}, before.now, [&](const ServiceEntry& entry, bool) { stored.push_back(entry.stored); });

  Driver after({}, 5000);
  after.now += 30s;  // reading the store took long; that is nobody's pause
  after.state.restore(stored, after.now, after.wall());
  EXPECT_EQ(after.names(), (std::vector<std::string>{"z", "a"}));
  EXPECT_EQ(after.state.revision(), 5000U);
  EXPECT_EQ(after.state.find("a")->revision, 5000U);
  EXPECT_EQ(after.state.find("a")->stored, stored[1]);
  EXPECT_EQ(after.state.find("a")->last_heartbeat, after.wall());
  EXPECT_TRUE(after.healthy("a"));
  EXPECT_EQ(after.health("a"), HealthStatus::unknown);
  EXPECT_EQ(after.remaining("a"), 120s);
  EXPECT_FALSE(after.state.events().after(4999).has_value());
  EXPECT_EQ(kinds(after.pass(120s)), "lease_expired:z lease_expired:a");
}

TEST(RegistryAway, Restore_OldGenerations_AreNeverGivenOutAgain) {
  Driver d;
  d.state.restore({StoredService{make_spec("a"), 77}}, d.now, d.wall());
  d.enroll(make_spec("b"));
  EXPECT_EQ(d.state.find("b")->stored.generation, 78U);
  Driver later({}, 900);
  later.enroll(make_spec("b"));
  EXPECT_GT(later.state.find("b")->stored.generation, 900U);
}

TEST(RegistryAway, Reconfigure_ShorterTimeout_IsAppliedToLeasesThatAreAlive) {
  Driver d;
  d.enroll(make_spec("a"));
  auto own = make_spec("b");
  own.heartbeat_interval = 100s;
  d.enroll(own);
  d.pass(60s);
  StateSettings settings;
  settings.heartbeat_timeout = 30s;
  d.state.reconfigure(settings);
  EXPECT_EQ(kinds(d.state.advance(d.now)), "lease_expired:a");
  EXPECT_EQ(d.remaining("b"), 240s);
  settings.heartbeat_timeout = 600s;
  d.state.reconfigure(settings);
  EXPECT_FALSE(d.healthy("a"));  // ended is ended until it is renewed
  d.beat("a");
  EXPECT_EQ(d.remaining("a"), 600s);
  EXPECT_EQ(kinds(d.pass(599s)), "lease_expired:b");
}

}  // namespace
}  // namespace svc::registry
