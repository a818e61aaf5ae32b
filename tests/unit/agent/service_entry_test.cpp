#include "agent/core/service_entry.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace svc::agent {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;

const char* const kSeed = R"({"services": [{"name": "infinilm-gpu1", "host": "192.168.1.10", "port": 5001, "weight": 1,
  "max_fails": 3, "fail_timeout": "30s", "metadata": {"gpu_count": 4, "model": "Qwen3-32B", "server_role": "primary"}}]})";

TEST(ApplyEntry, WhatIsStated_Wins) {
  ServiceSettings settings;
  settings.name = "old";
  settings.max_fails = 7;
  settings.fail_timeout = 9s;
  settings.metadata_json = R"({"a":1,"b":{"c":1}})";
  const auto read = read_services_file(json::parse(
      R"({"services": [{"name": "n", "host": "h", "port": 5, "weight": 2, "backup": true, "metadata": {"b": 2}}]})"));
  apply_entry(read->front(), settings);
  EXPECT_EQ(settings.name, "n");
  EXPECT_EQ(settings.host, "h");
  EXPECT_EQ(settings.port, 5);
  EXPECT_EQ(settings.weight, 2);
  EXPECT_EQ(settings.max_fails, 7);
  EXPECT_EQ(settings.fail_timeout, 9s);
  EXPECT_TRUE(settings.backup);
  EXPECT_EQ(settings.metadata_json, R"({"a":1,"b":2})");

  ServiceSettings seed;
  apply_entry(read_services_file(json::parse(kSeed))->front(), seed);
  EXPECT_EQ(seed.fail_timeout, 30s);
  EXPECT_EQ(seed.max_fails, 3);
  EXPECT_FALSE(seed.backup);
}

TEST(SettingsFiles, Files_AreInTheFolder) {
  const ServiceEntry entry = ServiceEntry{"gpu1", "h", 1, {}, {}, {}, {}, "{}", ""};
  EXPECT_EQ(settings_files(entry, "dir"), (std::vector<std::string>{"dir/gpu1.toml", "dir/service.toml"}));
  EXPECT_EQ(settings_files(entry, "/"), (std::vector<std::string>{"/gpu1.toml", "/service.toml"}));
  EXPECT_EQ(settings_files(entry, ""), (std::vector<std::string>{"gpu1.toml", "service.toml"}));
}

}  // namespace
}  // namespace svc::agent
