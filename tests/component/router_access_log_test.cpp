// The access log: form of its lines, sampling, what happens when the writer has no time.
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "common/io/log.hpp"
#include "router/io/access_log.hpp"
#include "tests/support/temp_folder.hpp"

namespace svc::router {
namespace {

using namespace std::chrono_literals;

AccessRecord full_record() {
  AccessRecord record;
  record.request_id = "r-1";
  record.client = "10.0.0.9";
  record.key_name = "team a";
  record.method = "POST";
  record.path = "/v1/chat/completions";
  record.model = "qwen";
  record.status = 200;
  record.upstream = "gpu1";
  record.attempts = 2;
  record.queue_time = 1500us;
  record.first_byte = 20ms;
  record.total = 1234567us;
  record.bytes_in = 100;
  record.bytes_out = 2000;
  record.prompt_tokens = 7;
  record.completion_tokens = 9;
  record.stream = true;
  return record;
}

class AccessLogTest : public ::testing::Test {
 public:
  AccessLogTest() {
    LogSettings settings;
    settings.file = folder_.path("logs/distributed_router.log");
    settings.to_stderr = false;
    EXPECT_TRUE(setup_logging(settings).has_value());
  }
  ~AccessLogTest() override { shutdown_logging(); }

  std::vector<std::string> lines() const {
    std::ifstream in(folder_.path("logs/distributed_router.log"));
    std::vector<std::string> all;
    for (std::string line; std::getline(in, line);) all.push_back(line);
    return all;
  }

  test::TempFolder folder_;
};

TEST(AccessLine, Text_NamesEverythingThatIsKnown) {
  std::string line;
  append_access_line(line, WallTime(1700000000s), full_record(), AccessLogForm::text);
  EXPECT_EQ(
      line,
      "2023-11-14T22:13:20.000000Z INFO  access: request request_id=r-1 client=10.0.0.9 key=\"team a\" method=POST "
      "path=/v1/chat/completions status=200 model=qwen upstream=gpu1 attempts=2 queue_ms=1.5 ttft_ms=20.0 "
      "total_ms=1234.567 bytes_in=100 bytes_out=2000 prompt_tokens=7 completion_tokens=9 stream=true\n");
}

TEST(AccessLine, WhatReplaysNeed_StandsBeforeTheTimes) {
  auto record = full_record();
  record.prefix = "0a1b2c3d.4e5f6071";
  record.session = 0xAB;
  std::string line;
  append_access_line(line, WallTime(0s), record, AccessLogForm::text);
  EXPECT_NE(line.find(" prefix=0a1b2c3d.4e5f6071 session=ba00000000000000 ttft_ms="), std::string::npos) << line;
}

TEST(AccessLine, UnknownThings_AreLeftOut) {
  AccessRecord record;
  record.method = "GET";
  record.path = "/x";
  record.status = 503;
  record.reason = FailureReason::queue_timeout;
  std::string line;
  append_access_line(line, WallTime(0s), record, AccessLogForm::text);
  EXPECT_EQ(line,
            "1970-01-01T00:00:00.000000Z INFO  access: request method=GET path=/x status=503 reason=queue_timeout "
            "bytes_in=0 bytes_out=0\n");
}

TEST(AccessLine, HostileTexts_ForgeNoLine) {
  auto record = full_record();
  record.path = "/a\n2023 INFO  access: request status=200";
  record.model = "x\" status=500\xff";
  for (const auto form : {AccessLogForm::text, AccessLogForm::json}) {
    std::string line;
    append_access_line(line, WallTime(0s), record, form);
    EXPECT_EQ(line.find('\n'), line.size() - 1);
  }
  std::string line;
  append_access_line(line, WallTime(0s), record, AccessLogForm::json);
  EXPECT_EQ(nlohmann::json::parse(line).at("path"), std::string(record.path));
}

TEST_F(AccessLogTest, PushedRecords_AreInTheFileAfterStop) {
  AccessLog log(2);
  log.configure(AccessLogForm::json, 1.0);
  log.start();
  for (int i = 0; i < 1000; ++i) log.push(static_cast<std::size_t>(i % 2), full_record());
  log.stop();
  const auto all = lines();
  ASSERT_EQ(all.size(), 1000U);
  const auto first = nlohmann::json::parse(all.front());
  EXPECT_EQ(first.at("logger"), "access");
  EXPECT_EQ(first.at("upstream"), "gpu1");
  EXPECT_EQ(first.at("total_ms"), 1234.567);
  EXPECT_EQ(log.written(), 1000U);
  EXPECT_EQ(log.dropped(), 0U);
}

TEST_F(AccessLogTest, RecordOfManyBytes_IsCutNotLost) {
  AccessLog log(1);
  log.configure(AccessLogForm::text, 1.0);
  log.start();
  const std::string path(70'000, 'p');
  auto record = full_record();
  record.path = path;
  log.push(0, record);
  log.push(0, full_record());
  log.stop();
  const auto all = lines();
  ASSERT_EQ(all.size(), 2U);
  EXPECT_NE(all[0].find("path=pppp"), std::string::npos);
  EXPECT_NE(all[1].find("path=/v1/chat"), std::string::npos);
}

TEST_F(AccessLogTest, FullLane_DropsAndCounts_NeverWaits) {
  AccessLog log(1, 1000);
  log.configure(AccessLogForm::text, 1.0);
  for (int i = 0; i < 100; ++i) log.push(0, full_record());  // nobody writes
  EXPECT_GT(log.dropped(), 90U);
  const auto dropped = log.dropped();
  log.start();
  log.stop();
  EXPECT_EQ(lines().size(), 100 - dropped);
}

TEST_F(AccessLogTest, FromManyThreads_EveryLineWhole) {
  AccessLog log(4, 64U << 20U);
  log.configure(AccessLogForm::json, 1.0);
  log.start();
  std::vector<std::thread> threads;
  for (std::size_t lane = 0; lane < 4; ++lane) {
    threads.emplace_back([&log, lane] {
      for (int i = 0; i < 5000; ++i) log.push(lane, full_record());
    });
  }
  for (auto& thread : threads) thread.join();
  log.stop();
  const auto all = lines();
  ASSERT_EQ(all.size(), 20'000U);
  for (const auto& line : all) ASSERT_TRUE(nlohmann::json::accept(line)) << line;
}

TEST(AccessLogSampling, ErrorsAlways_TheRestByShare) {
  AccessLog log(1);
  constexpr std::uint64_t kHalf = std::uint64_t{1} << 63U;
  EXPECT_FALSE(log.wants(500, FailureReason::none, 0)) << "off until configured";
  log.configure(AccessLogForm::text, 0.5);
  EXPECT_TRUE(log.wants(200, FailureReason::none, kHalf - 1));
  EXPECT_FALSE(log.wants(200, FailureReason::none, kHalf));
  EXPECT_TRUE(log.wants(404, FailureReason::none, kHalf));
  EXPECT_TRUE(log.wants(200, FailureReason::upstream_cut, kHalf));
  log.configure(AccessLogForm::text, 0.0);
  EXPECT_FALSE(log.wants(200, FailureReason::none, 0));
  log.configure(AccessLogForm::text, 1.0);
  EXPECT_TRUE(log.wants(200, FailureReason::none, ~std::uint64_t{0}));
}

TEST(AccessLogSampling, Forms) {
  EXPECT_EQ(parse_access_log_form("text"), AccessLogForm::text);
  EXPECT_EQ(parse_access_log_form("json"), AccessLogForm::json);
  EXPECT_EQ(parse_access_log_form("off"), AccessLogForm::off);
}

}  // namespace
}  // namespace svc::router
