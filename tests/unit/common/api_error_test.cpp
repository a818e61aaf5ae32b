#include "common/core/wire/api_error.hpp"

#include <gtest/gtest.h>

namespace svc {
namespace {

TEST(ErrorBody, Message_IsOneKey) {
  EXPECT_EQ(error_body("Service 'x' not found"), R"({"error":"Service 'x' not found"})");
  EXPECT_EQ(error_body(""), R"({"error":""})");
}

TEST(ErrorBody, Detail_IsTheSecondKey) {
  EXPECT_EQ(error_body("Invalid JSON", "line 1"), R"({"error":"Invalid JSON","detail":"line 1"})");
}

TEST(ErrorBody, TextFromOutside_IsEscaped) {
  EXPECT_EQ(error_body("a\"}\n\xff"), "{\"error\":\"a\\\"}\\n\xEF\xBF\xBD\"}");
}

}  // namespace
}  // namespace svc
