#include "common/io/config_file.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <nlohmann/json.hpp>
#include <string_view>

#include "tests/support/temp_folder.hpp"

namespace svc {
namespace {

using test::TempFolder;
using testing::HasSubstr;
using testing::StartsWith;

constexpr std::array<std::string_view, 2> kSections = {"registry", "servers"};

TEST(ConfigFile, GoodFile_IsReadWhole) {
  const TempFolder folder;
  const auto file = read_config_file(folder.write("c.json", R"({"registry": {"port": 1}, "servers": [1, 2]})"));
  ASSERT_TRUE(file.has_value()) << file.error().to_string();
  EXPECT_EQ(file->at("registry").at("port"), 1);
  EXPECT_EQ(file->at("servers").size(), 2U);
}

TEST(ConfigFile, BadJson_NamesFileLineAndColumn) {
  const TempFolder folder;
  const std::string path = folder.write("c.json", "{\n  \"registry\": {\n    \"port\": oops\n  }\n}\n");
  const auto file = read_config_file(path);
  ASSERT_TRUE(file.has_error());
  EXPECT_THAT(file.error().message, StartsWith(path + ":3:"));
  EXPECT_EQ(file.error().message.find("invalid JSON at line"), std::string::npos);
}

TEST(ConfigFile, WhatCannotBeRead_NamesTheFile) {
  const TempFolder folder;
  EXPECT_EQ(read_config_file(folder.path("none.json")).error().to_string(),
            folder.path("none.json") + ": No such file or directory");
  EXPECT_EQ(read_config_file(folder.path(".")).error().to_string(), folder.path(".") + ": Is a directory");
  EXPECT_EQ(read_config_file(folder.write("list.json", "[]")).error().to_string(),
            folder.path("list.json") + ": the file must hold one JSON object");
  EXPECT_THAT(read_config_file(folder.write("empty.json", "")).error().to_string(),
              StartsWith(folder.path("empty.json") + ":1:"));
}

TEST(ConfigFile, TooLarge_IsRefused) {
  const TempFolder folder;
  const std::string most = "{}" + std::string(kMaxConfigBytes - 2, ' ');
  EXPECT_TRUE(read_config_file(folder.write("most.json", most)).has_value());
  const auto file = read_config_file(folder.write("large.json", most + " "));
  ASSERT_TRUE(file.has_error());
  EXPECT_EQ(file.error().code, Errc::too_large);
  EXPECT_EQ(file.error().to_string(), folder.path("large.json") + ": it is larger than 4 MiB");
}

TEST(ConfigSections, KnownAndComments_AreFine) {
  const auto file = nlohmann::json::parse(R"({"registry": {}, "servers": [], "_note": 1, "$comment": "x"})");
  EXPECT_TRUE(check_sections(file, "c.json", kSections).has_value());
}

TEST(ConfigSections, Unknown_IsNamedWithTheNearest) {
  const auto near = nlohmann::json::parse(R"({"registy": {}})");
  EXPECT_EQ(check_sections(near, "c.json", kSections).error().message,
            "c.json: unknown section 'registy'; did you mean 'registry'?");
  const auto far = nlohmann::json::parse(R"({"completely_different": {}})");
  EXPECT_EQ(check_sections(far, "c.json", kSections).error().message, "c.json: unknown section 'completely_different'");
}

}  // namespace
}  // namespace svc
