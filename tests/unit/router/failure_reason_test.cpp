#include "router/core/failure_reason.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <regex>
#include <set>
#include <sstream>

#include "router/core/retry_policy.hpp"

namespace svc::router {
namespace {

using nlohmann::json;

std::vector<FailureReason> all_reasons() {
  std::vector<FailureReason> reasons;
  for (std::size_t i = 0; i < kFailureReasons; ++i) reasons.push_back(static_cast<FailureReason>(i));
  return reasons;
}

struct ExampleRow {
  std::string status;
  std::string blamed;
};

/// code -> row of the table in docs/failure-reasons.md.
std::map<std::string, ExampleRow> documented() {
  std::ifstream file(SVC_SOURCE_DIR "/docs/failure-reasons.md");
  std::map<std::string, ExampleRow> rows;
  const std::regex pattern(R"(^\| `(\w+)` \| (\w+) \| ([^|]+) \| (\w+) \| ([^|]+) \|$)");
  for (std::string line; std::getline(file, line);) {
    std::smatch match;
    if (!std::regex_match(line, match, pattern)) continue;
    EXPECT_TRUE(rows.emplace(match[1], ExampleRow{match[2], match[4]}).second) << "twice: " << match[1];
  }
  return rows;
}

TEST(FailureReason, Documentation_HasEveryCodeWithItsStatus) {
  auto rows = documented();
  for (const FailureReason reason : all_reasons()) {
    if (reason == FailureReason::none) continue;
    const std::string code(to_string(reason));
    ASSERT_TRUE(rows.count(code)) << code;
    const int status = http_status(reason);
    EXPECT_EQ(rows[code].status, status == 0 ? "none" : std::to_string(status)) << code;
    EXPECT_EQ(rows[code].blamed == "instance", blames_upstream(reason)) << code;
    rows.erase(code);
  }
  EXPECT_TRUE(rows.empty()) << rows.begin()->first;
}

TEST(FailureReason, Codes_AreDistinctWords) {
  std::set<std::string_view> seen;
  for (const FailureReason reason : all_reasons()) {
    EXPECT_TRUE(seen.insert(to_string(reason)).second) << to_string(reason);
    EXPECT_EQ(to_string(reason).find_first_not_of("abcdefghijklmnopqrstuvwxyz_"), std::string_view::npos);
  }
  EXPECT_EQ(to_string(FailureReason::none), "");
  EXPECT_EQ(http_status(FailureReason::none), 0);
}

TEST(FailureReason, Type_FitsTheStatus) {
  for (const FailureReason reason : all_reasons()) {
    if (reason == FailureReason::none) continue;
    const int status = http_status(reason);
    std::string_view expected = "invalid_request_error";
    if (status == 0 || status >= 500) expected = "server_error";
    if (status == 401) expected = "authentication_error";
    if (status == 403) expected = "permission_error";
    if (status == 429) expected = "rate_limit_error";
    EXPECT_EQ(error_type(reason), expected) << to_string(reason);
  }
}

TEST(FailureReason, OpenAiError_HasTheFourFields) {
  const json error = json::parse(openai_error(FailureReason::queue_full, "try later"));
  EXPECT_EQ(error, json::parse(R"({"error":{"message":"try later","type":"rate_limit_error","param":null,
                                            "code":"queue_full"}})"));
  const json with_param = json::parse(openai_error(FailureReason::model_not_found, "no", "model"));
  EXPECT_EQ(with_param["error"]["param"], "model");
}

TEST(FailureReason, OpenAiError_EscapesWhatItQuotes) {
  const std::string message = "model 'a\"b\\c\n\x01\xff' does not exist";
  const json error = json::parse(openai_error(FailureReason::model_not_found, message, "x\"y"));
  EXPECT_EQ(error["error"]["message"], "model 'a\"b\\c\n\x01\xEF\xBF\xBD' does not exist");
  EXPECT_EQ(error["error"]["param"], "x\"y");
}

}  // namespace
}  // namespace svc::router
