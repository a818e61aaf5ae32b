// The durable commands: register, update, remove; conflicts, limits, generations.
#include <gtest/gtest.h>

#include "registry/core/registry_state.hpp"
#include "tests/unit/registry/fixture.hpp"

namespace svc::registry {
namespace {

using namespace test;

StateSettings rejecting() {
  StateSettings settings;
  settings.on_name_conflict = NameConflictPolicy::reject;
  return settings;
}

TEST(RegistryPlan, Plan_Alone_ChangesNothingThatIsVisible) {
  Driver d;
  d.enroll(make_spec("a"));
  const Revision before = d.state.revision();
  EXPECT_TRUE(d.state.plan_register(make_spec("b"), d.now).has_value());
  EXPECT_TRUE(d.state.plan_register(make_spec("a", "10.0.0.9"), d.now).has_value());
  EXPECT_TRUE(d.state.plan_remove("a", d.now).has_value());
  EXPECT_EQ(d.state.revision(), before);
  EXPECT_EQ(d.names(), std::vector<std::string>{"a"});
  EXPECT_EQ(d.state.find("a")->stored.spec.host, "10.0.0.1");
  EXPECT_EQ(d.state.stats(d.now).name_conflicts, 0U);
}

TEST(RegistryPlan, Register_NewName_IsAChangeWithItsOwnRevision) {
  Driver d({}, 10);
  const auto events = d.enroll(make_spec("a"));
  EXPECT_EQ(kinds(events), "registered:a");
  EXPECT_EQ(events.at(0).revision, 11U);
  EXPECT_EQ(events.at(0).detail, "10.0.0.1:8000");
  const ServiceEntry& entry = *d.state.find("a");
  EXPECT_EQ(entry.revision, 11U);
  EXPECT_EQ(entry.last_heartbeat, kWallStart);
  EXPECT_EQ(entry.static_json, wire::static_service_json(entry.stored.spec, entry.facts));
}

TEST(RegistryPlan, Register_PresentName_StartsAfreshInItsOldPlace) {
  Driver d;
  d.enroll(make_spec("a"));
  d.enroll(make_spec("b"));
  d.probe("a", false, 3);
  d.pass(200s);
  const auto generation = d.state.find("a")->stored.generation;
  EXPECT_EQ(kinds(d.enroll(make_spec("a"))), "registered:a");
  EXPECT_EQ(d.health("a"), HealthStatus::unknown);
  EXPECT_TRUE(d.healthy("a"));
  EXPECT_EQ(d.remaining("a"), 120s);
  EXPECT_GT(d.state.find("a")->stored.generation, generation);
  EXPECT_EQ(d.names(), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(d.state.alive(), 1U);  // b's lease has ended
}

TEST(RegistryPlan, Register_AfterRemoval_GetsALargerGenerationAndTheLastPlace) {
  Driver d;
  d.enroll(make_spec("a"));
  d.enroll(make_spec("b"));
  const auto generation = d.state.find("a")->stored.generation;
  d.remove("a");
  d.enroll(make_spec("a"));
  EXPECT_GT(d.state.find("a")->stored.generation, generation);
  EXPECT_EQ(d.names(), (std::vector<std::string>{"b", "a"}));
}

TEST(RegistryPlan, Conflict_Accepted_IsToldAndCounted) {
  Driver d;
  d.enroll(make_spec("a", "10.0.0.1", 8000));
  const auto change = d.state.plan_register(make_spec("a", "10.0.0.2", 8000), d.now);
  ASSERT_TRUE(change.has_value());
  EXPECT_TRUE(change->name_conflict);
  EXPECT_EQ(change->previous_address, "10.0.0.1:8000");
  const auto events = d.state.apply(*change, d.now, d.wall());
  EXPECT_EQ(events.at(0).detail, "10.0.0.2:8000, in place of the live registration of 10.0.0.1:8000");
  EXPECT_EQ(d.state.stats(d.now).name_conflicts, 1U);
  EXPECT_EQ(d.state.find("a")->stored.spec.host, "10.0.0.2");
}

TEST(RegistryPlan, Conflict_SameAddressOrEndedLease_IsNone) {
  Driver d(rejecting());
  d.enroll(make_spec("a"));
  auto again = make_spec("a");
  again.hostname = "renamed";
  auto change = d.state.plan_register(again, d.now);
  ASSERT_TRUE(change.has_value());
  EXPECT_FALSE(change->name_conflict);
  d.pass(120s);
  change = d.state.plan_register(make_spec("a", "10.0.0.2"), d.now);
  ASSERT_TRUE(change.has_value());
  EXPECT_FALSE(change->name_conflict);
  EXPECT_EQ(d.state.stats(d.now).name_conflicts, 0U);
}

TEST(RegistryPlan, Conflict_OtherPortOnTheSameHost_IsOne) {
  Driver d;
  d.enroll(make_spec("a", "::1", 8000));
  const auto change = d.state.plan_register(make_spec("a", "::1", 8001), d.now);
  EXPECT_TRUE(change->name_conflict);
  EXPECT_EQ(change->previous_address, "[::1]:8000");
}

TEST(RegistryPlan, Conflict_Rejected_SaysWhoHoldsTheNameAndForHowLong) {
  Driver d(rejecting());
  d.enroll(make_spec("a"));
  d.pass(50s + 1ns);
  const auto change = d.state.plan_register(make_spec("a", "10.0.0.2"), d.now);
  ASSERT_TRUE(change.has_error());
  EXPECT_EQ(change.error().code, Errc::conflict);
  EXPECT_EQ(
      change.error().message,
      "Service 'a' is already registered by 10.0.0.1:8000; unregister it first or wait until its lease ends in 70 s");
  EXPECT_EQ(d.state.stats(d.now).name_conflicts, 1U);
}

TEST(RegistryPlan, Limit_Reached_RefusesNewNamesOnly) {
  StateSettings settings;
  settings.max_services = 2;
  Driver d(settings);
  d.enroll(make_spec("a"));
  EXPECT_TRUE(d.state.plan_register(make_spec("b"), d.now, InFlight{0}).has_value());
  const auto in_flight = d.state.plan_register(make_spec("b"), d.now, InFlight{1});
  ASSERT_TRUE(in_flight.has_error());
  EXPECT_EQ(in_flight.error().code, Errc::limit_exceeded);
  d.enroll(make_spec("b"));
  const auto full = d.state.plan_register(make_spec("c"), d.now);
  ASSERT_TRUE(full.has_error());
  EXPECT_EQ(full.error().message, "The registry is full: 2 services are registered, the limit (max_services)");
  EXPECT_TRUE(d.state.plan_register(make_spec("a"), d.now, InFlight{5}).has_value());
}

TEST(RegistryPlan, MetadataTotal_AtLimitAndOneMore_RefusesWhatGrows) {
  const auto with = [](const char* name, std::size_t bytes) {
    auto spec = make_spec(name);
    spec.metadata_json = R"({"a":")" + std::string(bytes - 13, 'x') + R"("})";
    spec.models = {"12345"};  // counts as well
    return spec;
  };
  StateSettings settings;
  settings.max_metadata_total_bytes = 100;
  Driver d(settings);
  d.enroll(with("a", 60));
  EXPECT_EQ(d.state.metadata_bytes(), 60U);
  EXPECT_TRUE(d.state.plan_register(with("b", 40), d.now).has_value());
  EXPECT_FALSE(d.state.plan_register(with("b", 40), d.now, InFlight{0, 1}).has_value());
  const auto full = d.state.plan_register(with("b", 41), d.now);
  ASSERT_TRUE(full.has_error());
  EXPECT_EQ(full.error().code, Errc::limit_exceeded);
  EXPECT_EQ(
      full.error().message,
      "The registry is full: the metadata and models of all services would take 101 bytes, more than the limit of "
      "100 (max_metadata_total_bytes)");
  wire::ServicePatch grown;
  grown.metadata_json = with("a", 101).metadata_json;
  EXPECT_EQ(d.state.plan_update("a", grown, d.now).error().code, Errc::limit_exceeded);
  EXPECT_TRUE(d.state.plan_register(with("a", 100), d.now).has_value());

  settings.max_metadata_total_bytes = 10;
  d.state.reconfigure(settings);
  EXPECT_TRUE(d.state.plan_register(with("a", 60), d.now).has_value()) << "it may come back as it was";
  EXPECT_TRUE(d.state.plan_update("a", {}, d.now).has_value());
  EXPECT_FALSE(d.state.plan_register(with("a", 61), d.now).has_value());
  d.remove("a");
  EXPECT_EQ(d.state.metadata_bytes(), 0U);
}

TEST(RegistryPlan, UnknownName_UpdateAndRemove_AreNotFound) {
  Driver d;
  for (const auto& change : {d.state.plan_update("x y", {}, d.now), d.state.plan_remove("x y", d.now)}) {
    ASSERT_TRUE(change.has_error());
    EXPECT_EQ(change.error().code, Errc::not_found);
    EXPECT_EQ(change.error().message, "Service 'x y' not found");
  }
}

TEST(RegistryPlan, Update_Status_CountsAsHeartbeatAndKeepsHealthAndGeneration) {
  Driver d;
  d.enroll(make_spec("a"));
  d.probe("a", true);
  const auto generation = d.state.find("a")->stored.generation;
  d.pass(60s);
  wire::ServicePatch patch;
  patch.status = "draining";
  const auto events = d.update("a", patch);
  EXPECT_EQ(kinds(events), "updated:a");
  EXPECT_EQ(events.at(0).detail, "status 'running' -> 'draining'");
  EXPECT_EQ(d.remaining("a"), 120s);
  EXPECT_EQ(d.health("a"), HealthStatus::healthy);
  EXPECT_EQ(d.state.find("a")->stored.generation, generation);
  EXPECT_EQ(d.state.find("a")->last_heartbeat, kWallStart + 60s);
  EXPECT_FALSE(d.healthy("a"));
  EXPECT_NE(d.state.find("a")->static_json.find("draining"), std::string::npos);
}

TEST(RegistryPlan, Update_ThatChangesNothing_OnlyRenews) {
  Driver d;
  d.enroll(make_spec("a"));
  d.pass(60s);
  wire::ServicePatch patch;
  patch.status = "running";
  EXPECT_EQ(kinds(d.update("a", patch)), "");
  EXPECT_EQ(d.remaining("a"), 120s);
}

TEST(RegistryPlan, Update_OfAnEndedLease_RenewsIt) {
  Driver d;
  d.enroll(make_spec("a"));
  d.pass(130s);
  EXPECT_EQ(kinds(d.update("a", {})), "lease_renewed:a");
  d.pass(130s);
  wire::ServicePatch patch;
  patch.weight = 5;
  EXPECT_EQ(kinds(d.update("a", patch)), "updated:a lease_renewed:a");
  EXPECT_TRUE(d.healthy("a"));
}

TEST(RegistryPlan, Update_WhatIsProbedChanges_PutsHealthBackToUnknown) {
  const auto patches = {
      +[](wire::ServicePatch& p) { p.host = "10.0.0.7"; },
      +[](wire::ServicePatch& p) { p.port = 9000; },
      +[](wire::ServicePatch& p) { p.url = "http://elsewhere:1"; },
      +[](wire::ServicePatch& p) { p.metadata_json = R"({"health_url":"http://x:1/h"})"; },
      +[](wire::ServicePatch& p) { p.max_fails = 0; },
  };
  for (const auto fill : patches) {
    Driver d;
    d.enroll(make_spec("a"));
    d.probe("a", false, 3);
    wire::ServicePatch patch;
    fill(patch);
    d.update("a", patch);
    EXPECT_EQ(d.health("a"), HealthStatus::unknown);
  }
  const auto kept = {
      +[](wire::ServicePatch& p) { p.hostname = "other"; },
      +[](wire::ServicePatch& p) { p.metadata_json = R"({"type":"openai-api"})"; },
      +[](wire::ServicePatch& p) { p.max_fails = 9; },
  };
  for (const auto fill : kept) {
    Driver d;
    d.enroll(make_spec("a"));
    d.probe("a", false, 3);
    wire::ServicePatch patch;
    fill(patch);
    d.update("a", patch);
    EXPECT_EQ(d.health("a"), HealthStatus::unhealthy);
  }
}

TEST(RegistryPlan, Update_LeaseTerms_ApplyFromNowOn) {
  Driver d;
  d.enroll(make_spec("a"));
  wire::ServicePatch patch;
  patch.heartbeat_interval = 2s;
  d.update("a", patch);
  EXPECT_EQ(d.remaining("a"), 6s);
  EXPECT_EQ(d.state.next_deadline(), kDriverStart + 6s);
  EXPECT_EQ(kinds(d.pass(6s)), "lease_expired:a");
}

TEST(RegistryPlan, Remove_Present_IsGoneWithOneEvent) {
  Driver d;
  d.enroll(make_spec("a"));
  d.enroll(make_spec("b"));
  EXPECT_EQ(kinds(d.remove("a")), "unregistered:a");
  EXPECT_EQ(d.state.find("a"), nullptr);
  EXPECT_EQ(d.state.size(), 1U);
  EXPECT_EQ(d.state.alive(), 1U);
  EXPECT_EQ(kinds(d.pass(1h)), "lease_expired:b");
}

// -- who names the generation of the registration that he takes for his own -----------------------------------------------

/// "a" was registered from one address and then from another; both generations.
std::pair<std::uint64_t, std::uint64_t> taken_over(Driver& d) {
  d.enroll(make_spec("a", "10.0.0.1"));
  const auto first = d.state.find("a")->stored.generation;
  d.enroll(make_spec("a", "10.0.0.2"));
  return {first, d.state.find("a")->stored.generation};
}

TEST(RegistryPlan, Generation_OfAnEarlierOwner_NeitherUpdatesNorRemoves) {
  Driver d;
  const auto [earlier, present] = taken_over(d);
  wire::ServicePatch patch;
  patch.status = "draining";
  patch.generation = earlier;
  for (const auto& change : {d.state.plan_update("a", patch, d.now), d.state.plan_remove("a", d.now, earlier)}) {
    ASSERT_TRUE(change.has_error());
    EXPECT_EQ(change.error().code, Errc::conflict);
    EXPECT_EQ(change.error().message, "Service 'a' has been registered by someone else since: its generation is " +
                                          std::to_string(present) + ", not " + std::to_string(earlier));
  }
  patch.generation = present;
  EXPECT_TRUE(d.state.plan_update("a", patch, d.now).has_value());
  EXPECT_TRUE(d.state.plan_remove("a", d.now, present).has_value());
  EXPECT_EQ(d.state.plan_remove("b", d.now, present).error().code, Errc::not_found);
}

TEST(RegistryPlan, Generation_OfAnEarlierOwner_DoesNotTakeALiveNameBack) {
  Driver d;
  const auto [earlier, present] = taken_over(d);
  const auto refused = d.state.plan_register(make_spec("a", "10.0.0.1"), d.now, {}, earlier);
  ASSERT_TRUE(refused.has_error());
  EXPECT_EQ(refused.error().code, Errc::conflict);
  EXPECT_EQ(d.state.stats(d.now).name_conflicts, 2U);
  EXPECT_TRUE(d.state.plan_register(make_spec("a", "10.0.0.2"), d.now, {}, earlier).has_value())
      << "from the present address: the answer to his last registration was lost";
  d.pass(120s);
  EXPECT_TRUE(d.state.plan_register(make_spec("a", "10.0.0.1"), d.now, {}, earlier).has_value()) << "nobody holds it";
  d.remove("a");
  EXPECT_TRUE(d.state.plan_register(make_spec("a", "10.0.0.1"), d.now, {}, earlier).has_value());
}

TEST(RegistryPlan, Generation_OfTheOwner_MovesTheNameEvenWhereConflictsAreRejected) {
  Driver d(rejecting());
  d.enroll(make_spec("a"));
  const auto moved = d.state.plan_register(make_spec("a", "10.0.0.2"), d.now, {}, d.state.find("a")->stored.generation);
  ASSERT_TRUE(moved.has_value());
  EXPECT_FALSE(moved->name_conflict);
}

TEST(RegistryPlan, Update_OfALiveAddress_IsAConflictLikeARegistrationFromThere) {
  Driver d;
  d.enroll(make_spec("a"));
  const auto before = d.state.find("a")->stored.generation;
  wire::ServicePatch patch;
  patch.port = 9000;
  const auto change = d.state.plan_update("a", patch, d.now);
  ASSERT_TRUE(change.has_value());
  EXPECT_TRUE(change->name_conflict);
  EXPECT_EQ(change->previous_address, "10.0.0.1:8000");
  d.update("a", patch);
  const auto after = d.state.find("a")->stored.generation;
  EXPECT_GT(after, before);
  EXPECT_EQ(d.state.stats(d.now).name_conflicts, 1U);

  patch.host = "10.0.0.2";
  patch.generation = after;
  EXPECT_FALSE(d.state.plan_update("a", patch, d.now)->name_conflict) << "the owner moves";
  EXPECT_GT(d.state.plan_update("a", patch, d.now)->service.generation, after);
  d.pass(120s);
  patch.generation.reset();
  EXPECT_FALSE(d.state.plan_update("a", patch, d.now)->name_conflict) << "nobody holds it";
  EXPECT_GT(d.state.plan_update("a", patch, d.now)->service.generation, after);
}

TEST(RegistryPlan, Update_OfALiveAddress_NeedsTheGenerationWhereConflictsAreRejected) {
  Driver d(rejecting());
  d.enroll(make_spec("a", "::1"));
  wire::ServicePatch patch;
  patch.host = "[::1]";
  EXPECT_TRUE(d.state.plan_update("a", patch, d.now).has_value()) << "the same host";
  patch.host = "10.0.0.2";
  const auto refused = d.state.plan_update("a", patch, d.now);
  ASSERT_TRUE(refused.has_error());
  EXPECT_EQ(refused.error().code, Errc::conflict);
  EXPECT_NE(refused.error().message.find("is already registered by [::1]:8000"), std::string::npos);
  EXPECT_EQ(d.state.stats(d.now).name_conflicts, 1U);
  patch.generation = d.state.find("a")->stored.generation;
  EXPECT_TRUE(d.state.plan_update("a", patch, d.now).has_value());
  patch.generation.reset();
  d.pass(120s);
  EXPECT_TRUE(d.state.plan_update("a", patch, d.now).has_value());
}

}  // namespace
}  // namespace svc::registry
