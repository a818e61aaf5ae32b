#include "common/core/nearest_name.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace svc {
namespace {

constexpr std::string_view kKnown[] = {"port", "host", "health_interval", "health_timeout", "cleanup_interval", "id"};

TEST(NearestName, Slips_AreRecognised) {
  struct Row {
    std::string wanted;
    std::optional<std::string> nearest;
  };
  const Row rows[] = {
      {"prot", "port"},
      {"Port", "port"},
      {"ports", "port"},
      {"hst", "host"},
      {"health_intervall", "health_interval"},
      {"healthinterval", "health_interval"},
      {"health_time_out", "health_timeout"},
      {"interval_cleanup", std::nullopt},
      {"zzzz", std::nullopt},
      {"", std::nullopt},
      {"x", std::nullopt},
      {"ab", std::nullopt},
      {std::string(129, 'a'), std::nullopt},
      {std::string(1'000'000, 'a'), std::nullopt},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.wanted.substr(0, 40));
    EXPECT_EQ(nearest_name(row.wanted, kKnown), row.nearest);
  }
}

TEST(NearestName, Ties_GiveTheFirst) {
  constexpr std::string_view kNames[] = {"cat", "bat"};
  EXPECT_EQ(nearest_name("rat", kNames), "cat");
}

TEST(NearestName, NothingKnown_GivesNothing) { EXPECT_EQ(nearest_name("port", {}), std::nullopt); }

TEST(NearestName, LongKnownNames_AreSkipped) {
  const std::string longest(200, 'a');
  const std::vector<std::string_view> names{longest};
  EXPECT_EQ(nearest_name(std::string(128, 'a'), names), std::nullopt);
}

}  // namespace
}  // namespace svc
