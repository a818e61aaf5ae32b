#include "ctl/core/status_text.hpp"

#include <gtest/gtest.h>

#include <limits>

namespace svc::ctl {
namespace {

TEST(UptimeText, TwoUnits_AreEnough) {
  struct Row {
    std::optional<double> seconds;
    std::string text;
  };
  const Row rows[] = {{std::nullopt, "-"},
                      {-1.0, "-"},
                      {std::numeric_limits<double>::quiet_NaN(), "-"},
                      {0.4, "0s"},
                      {59.9, "59s"},
                      {60, "1m 0s"},
                      {200, "3m 20s"},
                      {3600, "1h 0m"},
                      {7500, "2h 5m"},
                      {86400, "1d 0h"},
                      {12 * 86400 + 4 * 3600 + 59, "12d 4h"}};
  for (const Row& row : rows) EXPECT_EQ(uptime_text(row.seconds), row.text);
}

TEST(LatencyText, Unit_FollowsTheSize) {
  EXPECT_EQ(latency_text(std::nullopt), "-");
  EXPECT_EQ(latency_text(0.0), "<1 ms");
  EXPECT_EQ(latency_text(0.0009), "<1 ms");
  EXPECT_EQ(latency_text(0.1434), "143 ms");
  EXPECT_EQ(latency_text(2.44), "2.4 s");
}

TEST(StatusText, Fleet_IsTwoTablesAndAVerdict) {
  FleetStatus fleet;
  fleet.daemons.push_back({"registry", 12, "", 8081, 3700.0, "healthy, 4/4 entries healthy", true});
  fleet.daemons.push_back({"router", std::nullopt, "10.0.0.9:8080", 8080, std::nullopt, "no answer: refused", false});
  ServiceRow row;
  row.name = "gpu1";
  row.host = "10.0.0.1";
  row.port = 5001;
  row.state = "running";
  row.routing = "up";
  row.models = {"Qwen3-32B", "other", "third"};
  row.weight = 2;
  row.backup = true;
  row.in_flight = 1;
  row.requests = 12;
  row.errors = 0;
  row.ttft_p50_seconds = 0.143;
  row.ttft_p95_seconds = 1.5;
  row.restarts = 3;
  row.ok = true;
  fleet.services.push_back(row);
  fleet.problems = {"router: no answer: refused"};
  EXPECT_EQ(status_text(fleet),
            "DAEMON            PID           PORT  UPTIME  HEALTH\n"
            "✓ registry         12           8081   1h 1m  healthy, 4/4 entries healthy\n"
            "✗ router    elsewhere  10.0.0.9:8080       -  no answer: refused\n"
            "\n"
            "SERVICE  ENGINE         STATE    ROUTER  MODEL           WEIGHT  IN-FLIGHT  REQUESTS  ERRORS  TTFT P50  "
            "TTFT P95  RESTARTS\n"
            "✓ gpu1   10.0.0.1:5001  running  up      Qwen3-32B +2  2 backup          1        12       0    143 ms  "
            "   1.5 s         3\n"
            "\n"
            "Not well:\n"
            "  router: no answer: refused\n");
}

TEST(StatusText, Nothing_IsSaidPlainly) { EXPECT_EQ(status_text({}), "No services.\n\nAll is well.\n"); }

}  // namespace
}  // namespace svc::ctl
