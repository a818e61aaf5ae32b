// Leases, heartbeats, probes: what RegistryState does with time.
#include "registry/core/registry_state.hpp"

#include <gtest/gtest.h>

#include "tests/unit/registry/fixture.hpp"

namespace svc::registry {
namespace {

using namespace test;

TEST(RegistryState, Lease_WithoutHeartbeats_EndsAtItsTermAndNotBefore) {
  Driver d;
  d.enroll(make_spec("a"));
  EXPECT_TRUE(d.healthy("a"));
  EXPECT_EQ(d.remaining("a"), 120s);
  EXPECT_EQ(kinds(d.pass(120s - 1ns)), "");
  EXPECT_TRUE(d.healthy("a"));
  EXPECT_EQ(d.state.alive(), 1U);
  EXPECT_EQ(kinds(d.pass(1ns)), "lease_expired:a");
  EXPECT_FALSE(d.healthy("a"));
  EXPECT_EQ(d.remaining("a"), 0s);
  EXPECT_EQ(d.state.alive(), 0U);
  EXPECT_EQ(kinds(d.pass(1h)), "");  // reported once
}

TEST(RegistryState, Lease_WithHeartbeats_NeverEndsAndRaisesNothing) {
  Driver d;
  d.enroll(make_spec("a"));
  const Revision before = d.state.revision();
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(kinds(d.pass(119s)), "");
    EXPECT_EQ(kinds(d.beat("a")), "");
  }
  EXPECT_EQ(d.state.revision(), before);
  EXPECT_TRUE(d.healthy("a"));
}

TEST(RegistryState, Lease_OwnHeartbeatInterval_IsThreeIntervalsAtLeastFiveSeconds) {
  Driver d;
  auto spec = make_spec("a");
  spec.heartbeat_interval = 10s;
  d.enroll(spec);
  spec = make_spec("b");
  spec.heartbeat_interval = 100ms;
  d.enroll(spec);
  EXPECT_EQ(d.remaining("a"), 30s);
  EXPECT_EQ(d.remaining("b"), 5s);
  EXPECT_EQ(kinds(d.pass(5s)), "lease_expired:b");
  EXPECT_EQ(kinds(d.pass(25s)), "lease_expired:a");
}

TEST(RegistryState, Advance_SeveralLeasesEnded_ReportsThemInOrderOfTime) {
  Driver d;
  for (const auto* name : {"a", "b", "c"}) d.enroll(make_spec(name));
  d.pass(1s);
  d.beat("a");  // its entry in the heap is early now, its lease the last to end
  d.now += 500ms;
  d.enroll(make_spec("d"));
  d.pass(118s);
  d.now += 2s;
  EXPECT_EQ(kinds(d.state.advance(d.now)).substr(0, 31), "lease_expired:b lease_expired:c");
  EXPECT_EQ(d.state.events().after(d.state.revision() - 2).value()[0]->name, "a");
  EXPECT_EQ(d.state.events().after(d.state.revision() - 2).value()[1]->name, "d");
}

TEST(RegistryState, NextDeadline_IsNeverLaterThanTheFirstEnd) {
  Driver d;
  EXPECT_FALSE(d.state.next_deadline().has_value());
  d.enroll(make_spec("a"));
  EXPECT_EQ(d.state.next_deadline(), kDriverStart + 120s);
  d.pass(60s);
  d.beat("a");
  EXPECT_LE(d.state.next_deadline().value(), kDriverStart + 180s);
  d.pass(60s);  // looked at and put off
  EXPECT_EQ(d.state.next_deadline(), kDriverStart + 180s);
  d.pass(60s);
  EXPECT_FALSE(d.state.next_deadline().has_value());
}

TEST(RegistryState, Heartbeat_Live_AnswersLeaseRevisionGeneration) {
  Driver d({}, 500);
  d.enroll(make_spec("a"));
  d.pass(50s);
  std::vector<Event> events;
  const auto ack = d.state.heartbeat("a", std::nullopt, d.now, d.wall(), events);
  ASSERT_TRUE(ack.has_value());
  EXPECT_EQ(ack->lease_remaining, 120s);
  EXPECT_EQ(ack->revision, 501U);
  EXPECT_EQ(ack->generation, d.state.find("a")->stored.generation);
  EXPECT_TRUE(events.empty());
  EXPECT_EQ(d.state.find("a")->last_heartbeat, kWallStart + 50s);
}

TEST(RegistryState, Heartbeat_UnknownName_IsNotFound) {
  Driver d;
  std::vector<Event> events;
  const auto ack = d.state.heartbeat("ghost", std::nullopt, d.now, d.wall(), events);
  ASSERT_TRUE(ack.has_error());
  EXPECT_EQ(ack.error().code, Errc::not_found);
  EXPECT_EQ(ack.error().message, "Service 'ghost' not found");
}

TEST(RegistryState, Heartbeat_OfAnEarlierOwner_IsAConflictAndRenewsNothing) {
  Driver d;
  d.enroll(make_spec("a"));
  const auto old_generation = d.state.find("a")->stored.generation;
  d.enroll(make_spec("a", "10.0.0.2"));
  const auto new_generation = d.state.find("a")->stored.generation;
  ASSERT_GT(new_generation, old_generation);
  d.pass(60s);
  std::vector<Event> events;
  const auto refused = d.state.heartbeat("a", old_generation, d.now, d.wall(), events);
  ASSERT_TRUE(refused.has_error());
  EXPECT_EQ(refused.error().code, Errc::conflict);
  EXPECT_EQ(refused.error().message,
            "Service 'a' has been registered by someone else since: its generation is 2, not 1");
  EXPECT_EQ(d.remaining("a"), 60s);
  EXPECT_TRUE(d.state.heartbeat("a", new_generation, d.now, d.wall(), events).has_value());
  EXPECT_EQ(d.remaining("a"), 120s);
}

TEST(RegistryState, Heartbeat_AfterTheLeaseWasReportedDead_RaisesRenewed) {
  Driver d;
  d.enroll(make_spec("a"));
  d.pass(200s);
  const auto events = d.beat("a");
  EXPECT_EQ(kinds(events), "lease_renewed:a");
  EXPECT_EQ(events.at(0).detail, "after 200 s of silence");
  EXPECT_EQ(d.state.find("a")->revision, d.state.revision());
  EXPECT_TRUE(d.healthy("a"));
  EXPECT_EQ(d.remaining("a"), 120s);
  EXPECT_EQ(kinds(d.beat("a")), "");
  EXPECT_EQ(kinds(d.pass(120s)), "lease_expired:a");  // and it is watched again
}

TEST(RegistryState, Probe_Failures_MakeUnhealthyAfterTheThreshold) {
  Driver d;
  d.enroll(make_spec("a"));
  EXPECT_EQ(kinds(d.probe("a", false, 2)), "");
  EXPECT_TRUE(d.healthy("a"));
  const auto events = d.probe("a", false);
  EXPECT_EQ(kinds(events), "became_unhealthy:a");
  EXPECT_EQ(events.at(0).detail, "3 failed probes in a row");
  EXPECT_FALSE(d.healthy("a"));
  EXPECT_EQ(kinds(d.probe("a", true)), "became_healthy:a");
  EXPECT_TRUE(d.healthy("a"));
}

TEST(RegistryState, Probe_OwnMaxFails_WinsOverTheSettingOnlyWhenGiven) {
  StateSettings settings;
  settings.health.unhealthy_after = 2;
  Driver d(settings);
  auto spec = make_spec("own");
  spec.max_fails = 4;
  spec.max_fails_given = true;
  d.enroll(spec);
  spec = make_spec("default");
  spec.max_fails = 4;
  d.enroll(spec);
  spec = make_spec("never");
  spec.max_fails = 0;
  spec.max_fails_given = true;
  d.enroll(spec);
  for (const auto* name : {"own", "default", "never"}) d.probe(name, false, 3);
  EXPECT_TRUE(d.healthy("own"));
  EXPECT_FALSE(d.healthy("default"));
  d.probe("own", false);
  EXPECT_FALSE(d.healthy("own"));
  d.probe("never", false, 1000);
  EXPECT_EQ(d.health("never"), HealthStatus::unknown);
}

TEST(RegistryState, Probe_GoneOrReplacedService_IsIgnored) {
  StateSettings settings;
  settings.health.unhealthy_after = 1;
  Driver d(settings);
  d.enroll(make_spec("a"));
  const auto replaced = d.state.find("a")->health_run;
  d.enroll(make_spec("a"));
  EXPECT_TRUE(d.state.record_probe("a", replaced, false, d.now).empty());
  EXPECT_TRUE(d.state.record_probe("ghost", 1, false, d.now).empty());
  EXPECT_EQ(d.health("a"), HealthStatus::unknown);
  const auto removed = d.state.find("a")->health_run;
  d.remove("a");
  d.enroll(make_spec("a"));
  EXPECT_TRUE(d.state.record_probe("a", removed, false, d.now).empty());
}

TEST(RegistryState, Probe_OfWhatAnUpdateReplaced_IsIgnored) {
  StateSettings settings;
  settings.health.unhealthy_after = 1;
  const auto patches = {
      +[](wire::ServicePatch& p) { p.port = 9000; },
      +[](wire::ServicePatch& p) { p.url = "http://elsewhere:1"; },
      +[](wire::ServicePatch& p) { p.metadata_json = R"({"health_url":"http://x:1/h"})"; },
  };
  for (const auto fill : patches) {
    Driver d(settings);
    d.enroll(make_spec("a"));
    const auto begun = d.state.find("a")->health_run;
    wire::ServicePatch patch;
    fill(patch);
    d.update("a", patch);
    EXPECT_TRUE(d.state.record_probe("a", begun, false, d.now).empty());
    EXPECT_EQ(d.health("a"), HealthStatus::unknown);
  }
  Driver d(settings);
  d.enroll(make_spec("a"));
  const auto begun = d.state.find("a")->health_run;
  wire::ServicePatch patch;
  patch.weight = 5;
  d.update("a", patch);
  EXPECT_EQ(kinds(d.state.record_probe("a", begun, false, d.now)), "became_unhealthy:a");
}

TEST(RegistryState, Probe_Success_RenewsNoLease) {
  Driver d;
  d.enroll(make_spec("a"));
  d.pass(60s);
  d.probe("a", true);
  EXPECT_EQ(d.remaining("a"), 60s);
}

TEST(RegistryState, IsHealthy_NeedsRunningAliveAndNotUnhealthy) {
  Driver d;
  auto spec = make_spec("draining");
  spec.status = "draining";
  d.enroll(spec);
  spec = make_spec("caseful");
  spec.status = "Running";
  d.enroll(spec);
  EXPECT_FALSE(d.healthy("draining"));
  EXPECT_FALSE(d.healthy("caseful"));
}

TEST(RegistryState, Reconfigure_ThatEndsProbes_LeavesNobodyUnhealthy) {
  StateSettings settings;
  Driver d(settings);
  for (const auto* name : {"bad", "own", "good"}) {
    auto spec = make_spec(name);
    spec.max_fails = 2;
    spec.max_fails_given = spec.name == "own";
    d.enroll(spec);
    d.probe(name, spec.name == "good", 3);
  }
  const auto begun = d.state.find("bad")->health_run;
  settings.health.unhealthy_after = 0;
  const auto events = d.state.reconfigure(settings);
  EXPECT_EQ(kinds(events), "became_healthy:bad");
  EXPECT_EQ(events.at(0).detail, "probes make no service unhealthy any more");
  EXPECT_EQ(d.health("bad"), HealthStatus::unknown);
  EXPECT_TRUE(d.healthy("bad"));
  EXPECT_EQ(d.state.healthy(), 2U);
  EXPECT_EQ(d.health("own"), HealthStatus::unhealthy) << "it has a threshold of its own";
  EXPECT_TRUE(d.state.record_probe("bad", begun, true, d.now).empty()) << "begun before";

  settings.health.periodic = false;
  EXPECT_EQ(kinds(d.state.reconfigure(settings)), "became_healthy:own");
  EXPECT_EQ(d.health("own"), HealthStatus::unknown);
  EXPECT_EQ(d.health("good"), HealthStatus::healthy);
  d.probe("own", false, 2);
  EXPECT_EQ(kinds(d.state.reconfigure(settings)), "") << "what a probe on demand said stands";
}

}  // namespace
}  // namespace svc::registry
