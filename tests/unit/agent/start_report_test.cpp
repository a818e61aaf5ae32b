#include "agent/core/start_report.hpp"

#include <gtest/gtest.h>

namespace svc::agent {
namespace {

using namespace std::chrono_literals;
constexpr Duration kLong = StartReport::kPatience;
constexpr Duration kShort = kLong - 1ns;

StartReport of_one(InstanceState state, Duration state_for, bool has_registry, bool registered) {
  return report_start({{"gpu1", state, state_for, has_registry, registered}});
}

TEST(StartReport, EachState_OverWhenTheAgentCanDoNoMore) {
  using enum InstanceState;
  struct Row {
    InstanceState state;
    bool at_once, after_a_while;  ///< not registered, with a registry
  };
  const Row rows[] = {
      {idle, false, false},     {starting, false, false}, {running, false, true},      {unhealthy, false, false},
      {stopping, false, false}, {draining, false, true},  {backing_off, false, false}, {port_taken, false, true},
      {failed, true, true},     {stopped, true, true},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(to_string(row.state));
    EXPECT_EQ(of_one(row.state, kShort, true, false).over, row.at_once);
    EXPECT_EQ(of_one(row.state, kLong, true, false).over, row.after_a_while);
    EXPECT_TRUE(of_one(row.state, {}, true, true).over) << "it was ready before";
    EXPECT_EQ(of_one(row.state, {}, false, false).over, row.at_once || row.state == running);
  }
}

TEST(StartReport, SeveralServices_AreAllWaitedFor) {
  using enum InstanceState;
  std::vector<StartFacts> all{{"a", running, 1s, true, true}, {"b", starting, 10min, true, false}};
  EXPECT_FALSE(report_start(all).over);
  all[1] = {"b", failed, {}, true, false};
  EXPECT_TRUE(report_start(all).over);
  all.push_back({"c", running, 1s, true, false});
  EXPECT_FALSE(report_start(all).over);
  all[2].registered = true;
  EXPECT_TRUE(report_start(all).over);
}

TEST(StartReport, Text_NamesWhatIsNotInService) {
  using enum InstanceState;
  EXPECT_EQ(of_one(running, {}, true, true).text, "1 of 1 service in service");
  EXPECT_EQ(of_one(running, {}, false, false).text, "1 of 1 service in service");
  EXPECT_EQ(of_one(running, {}, true, false).text, "0 of 1 service in service; gpu1: running, not registered");
  EXPECT_EQ(of_one(backing_off, {}, true, true).text, "0 of 1 service in service; gpu1: backing_off");
  EXPECT_EQ(
      report_start({{"a", running, {}, true, true}, {"b", failed, {}, true, false}, {"c", idle, {}, true, false}}).text,
      "1 of 3 services in service; b: failed; c: idle");
  std::vector<StartFacts> many(50);
  for (auto& service : many) service.name = "x";
  EXPECT_EQ(report_start(many).text,
            "0 of 50 services in service; x: idle; x: idle; x: idle; x: idle; x: idle; and 45 more");
}

}  // namespace
}  // namespace svc::agent
