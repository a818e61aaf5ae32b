#include "registry/core/health.hpp"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace svc::registry {
namespace {

char letter(HealthStatus status) {
  switch (status) {
    case HealthStatus::unknown: return '?';
    case HealthStatus::healthy: return 'h';
    case HealthStatus::unhealthy: return 'u';
  }
  return '!';
}

/// Feeds '+' and '-' and returns the status after each; upper case marks "changed".
std::string run(std::string_view probes, std::int64_t unhealthy_after, std::int64_t healthy_after) {
  Health health;
  std::string seen;
  for (const char probe : probes) {
    const HealthStatus before = health.status();
    const bool changed = health.record(probe == '+', unhealthy_after, healthy_after);
    EXPECT_EQ(changed, before != health.status());
    seen += letter(health.status());
  }
  return seen;
}

struct HealthCase {
  std::string_view probes;
  std::int64_t unhealthy_after;
  std::int64_t healthy_after;
  std::string_view expected;
};

TEST(Health, Record_Sequences_FollowTheThresholds) {
  const HealthCase cases[] = {
      {"+", 3, 1, "h"},
      {"-", 3, 1, "?"},
      {"---", 3, 1, "??u"},
      {"--+---", 3, 1, "??hhhu"},
      {"+--+--", 3, 1, "hhhhhh"},
      {"---+", 3, 1, "??uh"},
      {"---+-", 3, 1, "??uhh"},
      {"---++", 3, 2, "??uuh"},
      {"---+-++", 3, 2, "??uuuuh"},
      {"+++", 3, 2, "?hh"},
      {"-", 1, 1, "u"},
      {"-+-+", 1, 1, "uhuh"},
      {"----------", 0, 1, "??????????"},
      {"+----------", 0, 1, "hhhhhhhhhhh"},
  };
  for (const auto& c : cases) {
    EXPECT_EQ(run(c.probes, c.unhealthy_after, c.healthy_after), c.expected) << c.probes;
  }
}

TEST(Health, Record_Runs_AreCountedAndEndEachOther) {
  Health health;
  health.record(false, 3, 1);
  health.record(false, 3, 1);
  EXPECT_EQ(health.consecutive_failures(), 2);
  EXPECT_EQ(health.consecutive_successes(), 0);
  health.record(true, 3, 1);
  EXPECT_EQ(health.consecutive_failures(), 0);
  EXPECT_EQ(health.consecutive_successes(), 1);
}

TEST(Health, Record_ThresholdLowered_TakesEffectAtTheNextFailure) {
  Health health;
  for (int i = 0; i < 4; ++i) health.record(false, 10, 1);
  EXPECT_EQ(health.status(), HealthStatus::unknown);
  EXPECT_TRUE(health.record(false, 3, 1));
  EXPECT_EQ(health.status(), HealthStatus::unhealthy);
}

}  // namespace
}  // namespace svc::registry
