#include "registry/core/lease.hpp"

#include <gtest/gtest.h>

#include <chrono>

namespace svc::registry {
namespace {

using namespace std::chrono_literals;

struct LeaseCase {
  const char* what;
  std::optional<Duration> heartbeat_interval, remove_after;
  Duration alive_for, removed_after;
};

TEST(LeaseTerms, Of_DefaultsAndOwnTerms_FollowTheRules) {
  const LeaseCase cases[] = {
      {"defaults", std::nullopt, std::nullopt, 120s, 300s},
      {"three intervals", 10s, std::nullopt, 30s, 75s},
      {"at least five seconds", 100ms, std::nullopt, 5s, 12500ms},
      {"exactly five seconds", 1666666667ns, std::nullopt, 5000000001ns, 12500000003ns},
      {"own removal time", 10s, 40s, 30s, 40s},
      {"removal never before the end of the lease", 10s, 1s, 30s, 30s},
      {"own removal time alone", std::nullopt, 200s, 120s, 200s},
      {"own removal time below the default lease", std::nullopt, 60s, 120s, 120s},
      {"longest", 24h, 24h * 30, 72h, 24h * 30},
      {"longest, scaled", 24h, std::nullopt, 72h, 180h},
  };
  for (const auto& c : cases) {
    const LeaseTerms terms = lease_terms(120s, 300s, c.heartbeat_interval, c.remove_after);
    EXPECT_EQ(terms.alive_for, c.alive_for) << c.what;
    EXPECT_EQ(terms.remove_after, c.removed_after) << c.what;
  }
}

TEST(LeaseTerms, Of_DefaultRemovalShorterThanLease_IsStretched) {
  EXPECT_EQ(lease_terms(120s, 60s, std::nullopt, std::nullopt).remove_after, Duration(120s));
  EXPECT_EQ(lease_terms(120s, 60s, 10s, std::nullopt).remove_after, Duration(30s));
}

TEST(LeaseTerms, Of_LongRemoval_ScalesNoFurtherThanTimeGoes) {
  const auto day = 24h;
  EXPECT_EQ(lease_terms(120s, 365 * day, 3h, std::nullopt).remove_after, 10 * 365 * day);
  EXPECT_EQ(lease_terms(120s, 365 * day, 24h, std::nullopt).remove_after, 10 * 365 * day);
  EXPECT_EQ(lease_terms(120s, 365 * day, 10s, std::nullopt).remove_after, 365 * day / 4);
}

TEST(Lease, Alive_AtTheEdge_EndsExactlyAfterItsTerm) {
  const TimePoint start{1000s};
  const Lease lease{start, LeaseTerms{10s, 25s}};
  EXPECT_TRUE(lease.alive(start + 10s - 1ns, TimePoint{}));
  EXPECT_FALSE(lease.alive(start + 10s, TimePoint{}));
  EXPECT_FALSE(lease.removable(start + 25s, TimePoint{}));
  EXPECT_TRUE(lease.removable(start + 25s + 1ns, TimePoint{}));
}

TEST(Lease, Grace_LaterThanTheRenewal_CountsAsRenewal) {
  const TimePoint start{1000s};
  const Lease lease{start, LeaseTerms{10s, 25s}};
  EXPECT_EQ(lease.ends(start + 60s), start + 70s);
  EXPECT_EQ(lease.ends(start - 60s), start + 10s);
  EXPECT_FALSE(lease.removable(start + 85s, start + 60s));
}

}  // namespace
}  // namespace svc::registry
