#include "registry/core/event_log.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace svc::registry {
namespace {

std::vector<Revision> revisions(const std::optional<std::vector<const Event*>>& events) {
  std::vector<Revision> result;
  for (const auto* event : events.value()) result.push_back(event->revision);
  return result;
}

TEST(EventLog, Append_Always_TakesTheNextRevision) {
  EventLog log(10, 100);
  EXPECT_EQ(log.revision(), 100U);
  const Event& event = log.append(EventKind::updated, "a", "why");
  EXPECT_EQ(event.revision, 101U);
  EXPECT_EQ(event.name, "a");
  EXPECT_EQ(event.detail, "why");
  EXPECT_EQ(log.append(EventKind::registered, "b", "").revision, 102U);
  EXPECT_EQ(log.revision(), 102U);
}

TEST(EventLog, After_WithinTheLog_GivesTheRestOldestFirst) {
  EventLog log(10, 0);
  for (int i = 0; i < 5; ++i) log.append(EventKind::updated, std::to_string(i), "");
  EXPECT_EQ(revisions(log.after(0)), (std::vector<Revision>{1, 2, 3, 4, 5}));
  EXPECT_EQ(revisions(log.after(3)), (std::vector<Revision>{4, 5}));
  EXPECT_TRUE(log.after(5).value().empty());
}

TEST(EventLog, After_OlderThanTheLog_IsAResync) {
  EventLog log(3, 0);
  for (int i = 0; i < 5; ++i) log.append(EventKind::updated, "a", "");
  EXPECT_FALSE(log.after(0).has_value());
  EXPECT_FALSE(log.after(1).has_value());
  EXPECT_EQ(revisions(log.after(2)), (std::vector<Revision>{3, 4, 5}));
}

TEST(EventLog, After_InTheFutureOrBeforeTheBoot_IsAResync) {
  EventLog log(3, 50);
  EXPECT_TRUE(log.after(50).value().empty());
  EXPECT_FALSE(log.after(49).has_value());
  EXPECT_FALSE(log.after(51).has_value());
  EXPECT_FALSE(log.after(~Revision{0}).has_value());
}

TEST(EventLog, SetCapacity_Smaller_ForgetsTheOldest) {
  EventLog log(10, 0);
  for (int i = 0; i < 5; ++i) log.append(EventKind::updated, "a", "");
  log.set_capacity(2);
  EXPECT_FALSE(log.after(2).has_value());
  EXPECT_EQ(revisions(log.after(3)), (std::vector<Revision>{4, 5}));
  log.set_capacity(0);  // one is always kept
  EXPECT_EQ(revisions(log.after(4)), (std::vector<Revision>{5}));
}

TEST(EventKind, ToString_Each_HasItsOwnName) {
  EXPECT_STREQ(to_string(EventKind::registered), "registered");
  EXPECT_STREQ(to_string(EventKind::updated), "updated");
  EXPECT_STREQ(to_string(EventKind::unregistered), "unregistered");
  EXPECT_STREQ(to_string(EventKind::removed_stale), "removed_stale");
  EXPECT_STREQ(to_string(EventKind::lease_expired), "lease_expired");
  EXPECT_STREQ(to_string(EventKind::lease_renewed), "lease_renewed");
  EXPECT_STREQ(to_string(EventKind::became_unhealthy), "became_unhealthy");
  EXPECT_STREQ(to_string(EventKind::became_healthy), "became_healthy");
}

}  // namespace
}  // namespace svc::registry
