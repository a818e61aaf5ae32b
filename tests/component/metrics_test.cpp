#include "common/io/metrics.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "common/version.hpp"

namespace svc {
namespace {

using testing::HasSubstr;

TEST(Metrics, Text_HasHelpTypeLabelsAndValues) {
  Metrics metrics;
  const Counter get = metrics.counter("requests_total", "Requests", {{"method", "GET"}});
  const Counter put = metrics.counter("requests_total", "Requests", {{"method", "PUT"}});
  get.add();
  get.add(2);
  put.add(-5);
  const std::string text = metrics.text();
  EXPECT_THAT(text, HasSubstr("# HELP requests_total Requests\n# TYPE requests_total counter\n"));
  EXPECT_THAT(text, HasSubstr("requests_total{method=\"GET\"} 3\n"));
  EXPECT_THAT(text, HasSubstr("requests_total{method=\"PUT\"} 0\n"));
}

TEST(Metrics, LabelValue_IsEscaped) {
  Metrics metrics;
  metrics.gauge("g", "h", {{"name", "a\"b\\c\nd"}}).set(1);
  EXPECT_THAT(metrics.text(), HasSubstr(R"(g{name="a\"b\\c\nd"} 1)"));
}

TEST(Metrics, SameNameAndLabels_GiveTheSameMetric) {
  Metrics metrics;
  metrics.gauge("g", "h").add(2);
  metrics.gauge("g", "h").add(-0.5);
  EXPECT_EQ(metrics.gauge("g", "h").value(), 1.5);
}

TEST(Metrics, Histogram_CountsByBound) {
  Metrics metrics;
  const Histogram histogram = metrics.histogram("t", "h", {0.1, 1});
  for (const double value : {0.05, 0.5, 0.6, 7.0}) histogram.observe(value);
  const std::string text = metrics.text();
  EXPECT_THAT(text, HasSubstr("t_bucket{le=\"0.1\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("t_bucket{le=\"1\"} 3\n"));
  EXPECT_THAT(text, HasSubstr("t_bucket{le=\"+Inf\"} 4\n"));
  EXPECT_THAT(text, HasSubstr("t_count 4\n"));
}

TEST(Metrics, Collector_RunsAtEveryText) {
  Metrics metrics;
  const Gauge size = metrics.gauge("size", "h");
  double now = 1;
  metrics.add_collector([&] { size.set(now); });
  EXPECT_THAT(metrics.text(), HasSubstr("size 1\n"));
  now = 2;
  EXPECT_THAT(metrics.text(), HasSubstr("size 2\n"));
}

TEST(Metrics, Standard_BuildAndProcess) {
  Metrics metrics;
  const std::string text = metrics.text();
  EXPECT_THAT(text, HasSubstr("infinilm_build_info{commit=\"" + std::string(kGitCommit) + "\",version=\"" +
                              std::string(kVersion) + "\"} 1\n"));
  for (const char* name : {"process_start_time_seconds ", "process_resident_memory_bytes ", "process_open_fds ",
                           "process_cpu_seconds_total ", "process_max_fds ", "infinilm_log_lines_lost_total "}) {
    EXPECT_THAT(text, HasSubstr("\n" + std::string(name)));
  }
  EXPECT_EQ(text.find("process_resident_memory_bytes 0\n"), std::string::npos);
  EXPECT_EQ(text.find("process_open_fds 0\n"), std::string::npos);
}

TEST(Metrics, WrongUse_Throws) {
  Metrics metrics;
  metrics.counter("one", "h");
  EXPECT_THROW(metrics.gauge("one", "h"), std::invalid_argument);
  EXPECT_THROW(metrics.gauge("bad name", "h"), std::invalid_argument);
}

TEST(Metrics, HandleWithoutMetric_IgnoresChanges) {
  Counter().add();
  Gauge().set(3);
  Histogram().observe(1);
  EXPECT_EQ(Counter().value(), 0);
  EXPECT_EQ(Gauge().value(), 0);
}

TEST(Metrics, Threads_LoseNoIncrement) {
  Metrics metrics;
  const Counter counter = metrics.counter("n_total", "h");
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([counter] {
      for (int i = 0; i < 1000; ++i) counter.add();
    });
  }
  for (int i = 0; i < 10; ++i) (void)metrics.text();
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(counter.value(), 4000);
}

}  // namespace
}  // namespace svc
