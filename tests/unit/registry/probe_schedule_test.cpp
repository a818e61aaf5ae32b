#include "registry/core/probe_schedule.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <random>
#include <string>

#include "tests/support/moments.hpp"

namespace svc::registry {
namespace {

using namespace std::chrono_literals;

using svc::test::kStart;

std::function<std::uint64_t()> seeded() {
  return [engine = std::mt19937_64(42)]() mutable { return engine(); };
}
std::function<std::uint64_t()> always(std::uint64_t value) {
  return [value] { return value; };
}

TEST(ProbeSchedule, Add_NewName_IsDueWithinTheFirstInterval) {
  ProbeSchedule earliest(30s, always(0)), latest(30s, always(~0ULL)), middle(30s, always(1ULL << 63));
  for (auto* schedule : {&earliest, &latest, &middle}) schedule->add("a", kStart);
  EXPECT_EQ(earliest.next_due(), kStart);
  EXPECT_EQ(middle.next_due(), kStart + 15s);
  EXPECT_LE(latest.next_due().value(), kStart + 30s);
  EXPECT_GT(latest.next_due().value(), kStart + 29s);
}

TEST(ProbeSchedule, Add_KnownName_KeepsItsTime) {
  ProbeSchedule schedule(30s, always(0));
  schedule.add("a", kStart);
  schedule.add("a", kStart + 7s);
  EXPECT_EQ(schedule.next_due(), kStart);
  EXPECT_EQ(schedule.size(), 1U);
}

TEST(ProbeSchedule, TakeDue_Due_IsPlannedAgainOneIntervalLaterWithJitter) {
  ProbeSchedule earliest(30s, always(0)), latest(30s, always(~0ULL));
  earliest.add("a", kStart);
  EXPECT_EQ(earliest.take_due(kStart, 10), std::vector<std::string>{"a"});
  earliest.ended("a", kStart + 1s);
  EXPECT_EQ(earliest.next_due(), kStart + 27s);
  latest.add("a", kStart);
  EXPECT_TRUE(latest.take_due(kStart + 29s, 10).empty());
  EXPECT_EQ(latest.take_due(kStart + 30s, 10), std::vector<std::string>{"a"});
  latest.ended("a", kStart + 30s);
  EXPECT_GT(latest.next_due().value(), kStart + 62s);
  EXPECT_LE(latest.next_due().value(), kStart + 63s);
}

TEST(ProbeSchedule, TakeDue_MoreThanTheLimit_LeavesTheRestDue) {
  ProbeSchedule schedule(30s, always(0));
  for (const auto* name : {"a", "b", "c"}) schedule.add(name, kStart);
  EXPECT_EQ(schedule.take_due(kStart, 2).size(), 2U);
  EXPECT_EQ(schedule.next_due(), kStart);
  EXPECT_EQ(schedule.take_due(kStart, 2).size(), 1U);
  EXPECT_FALSE(schedule.next_due().has_value()) << "all are under way";
  schedule.ended("a", kStart);
  EXPECT_EQ(schedule.next_due(), kStart + 27s);
  EXPECT_TRUE(schedule.take_due(kStart, 0).empty());
}

TEST(ProbeSchedule, TakeDue_LongBehind_GivesEachNameOnce) {
  ProbeSchedule schedule(30s, seeded());
  schedule.add("a", kStart);
  EXPECT_EQ(schedule.take_due(kStart + 1h, 100).size(), 1U);
  schedule.ended("a", kStart + 1h);
  EXPECT_GE(schedule.next_due().value(), kStart + 1h + 27s);
}

TEST(ProbeSchedule, Remove_Name_IsNeverDueAgain) {
  ProbeSchedule schedule(30s, seeded());
  schedule.add("a", kStart);
  schedule.add("b", kStart);
  schedule.remove("a");
  schedule.remove("never there");
  EXPECT_EQ(schedule.size(), 1U);
  EXPECT_EQ(schedule.take_due(kStart + 30s, 10), std::vector<std::string>{"b"});
}

TEST(ProbeSchedule, Interval_Zero_SchedulesNothingUntilItIsSet) {
  ProbeSchedule schedule(0s, always(0));
  schedule.add("a", kStart);
  EXPECT_FALSE(schedule.next_due().has_value());
  EXPECT_TRUE(schedule.take_due(kStart + 1h, 10).empty());
  EXPECT_EQ(schedule.size(), 1U);
  schedule.set_interval(10s, kStart + 1h);
  EXPECT_EQ(schedule.next_due(), kStart + 1h);
  schedule.set_interval(0s, kStart + 1h);
  EXPECT_FALSE(schedule.next_due().has_value());
  schedule.remove("a");
  EXPECT_EQ(schedule.size(), 0U);
}

TEST(ProbeSchedule, SetInterval_Changed_ReplansEverythingAndUnchangedNothing) {
  ProbeSchedule schedule(30s, always(1ULL << 63));
  schedule.add("a", kStart);
  schedule.set_interval(30s, kStart + 10s);
  EXPECT_EQ(schedule.next_due(), kStart + 15s);
  schedule.set_interval(60s, kStart + 10s);
  EXPECT_EQ(schedule.next_due(), kStart + 40s);
}

TEST(ProbeSchedule, Probe_LongerThanTheInterval_IsAloneAndThenPausesForOne) {
  ProbeSchedule schedule(100ms, always(0));
  schedule.add("hung", kStart);
  EXPECT_EQ(schedule.take_due(kStart, 10).size(), 1U);
  EXPECT_TRUE(schedule.take_due(kStart + 1s, 10).empty());
  schedule.ended("hung", kStart + 1500ms);
  EXPECT_EQ(schedule.next_due(), kStart + 1590ms);
  schedule.ended("hung", kStart + 1550ms);
  EXPECT_EQ(schedule.next_due(), kStart + 1590ms) << "it has ended before";
  EXPECT_EQ(schedule.size(), 1U);
}

TEST(ProbeSchedule, Probe_OfANameThatLeavesAndComesBack_IsStillAlone) {
  ProbeSchedule schedule(10s, always(0));
  schedule.add("a", kStart);
  EXPECT_EQ(schedule.take_due(kStart, 10).size(), 1U);
  schedule.remove("a");
  schedule.add("a", kStart + 1s);
  EXPECT_TRUE(schedule.take_due(kStart + 30s, 10).empty());
  schedule.ended("a", kStart + 30s);
  EXPECT_EQ(schedule.next_due(), kStart + 39s);
  EXPECT_EQ(schedule.take_due(kStart + 39s, 10).size(), 1U);
  schedule.remove("a");
  schedule.ended("a", kStart + 40s);
  EXPECT_FALSE(schedule.next_due().has_value());
  EXPECT_EQ(schedule.size(), 0U);
}

TEST(ProbeSchedule, SetInterval_WhileAProbeIsUnderWay_CountsFromItsEnd) {
  ProbeSchedule schedule(1h, always(0));
  schedule.add("a", kStart);
  EXPECT_EQ(schedule.take_due(kStart, 10).size(), 1U);
  schedule.set_interval(10s, kStart + 1s);
  EXPECT_FALSE(schedule.next_due().has_value());
  schedule.ended("a", kStart + 2s);
  EXPECT_EQ(schedule.next_due(), kStart + 11s);
}

TEST(ProbeSchedule, TenMinutes_ThousandNames_EachOncePerIntervalAndNoBursts) {
  ProbeSchedule schedule(30s, seeded());
  for (int i = 0; i < 1000; ++i) schedule.add(std::to_string(i), kStart);
  std::map<std::string, int> probes;
  std::size_t largest = 0;
  for (int second = 1; second <= 600; ++second) {
    const auto due = schedule.take_due(kStart + second * 1s, 10'000);
    largest = std::max(largest, due.size());
    for (const auto& name : due) {
      ++probes[name];
      schedule.ended(name, kStart + second * 1s);
    }
  }
  EXPECT_EQ(probes.size(), 1000U);
  for (const auto& [name, count] : probes) EXPECT_TRUE(count >= 18 && count <= 22) << name << ": " << count;
  EXPECT_LT(largest, 80U);  // 33 a second on average
}

}  // namespace
}  // namespace svc::registry
