#include "common/core/services_file.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace svc {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;

const char* const kSeed = R"({"services": [{"name": "infinilm-gpu1", "host": "192.168.1.10", "port": 5001, "weight": 1,
  "max_fails": 3, "fail_timeout": "30s", "metadata": {"gpu_count": 4, "model": "Qwen3-32B", "server_role": "primary"}}]})";

std::string fault(const std::string& text) {
  const auto read = read_services_file(json::parse(text));
  return read ? "" : read.error().message;
}

std::vector<ServiceEntry> entries(const std::vector<std::tuple<std::string, std::string, std::uint16_t>>& rows) {
  std::vector<ServiceEntry> list;
  for (const auto& [name, host, port] : rows) {
    ServiceEntry entry;
    entry.name = name;
    entry.host = host;
    entry.port = port;
    list.push_back(entry);
  }
  return list;
}

TEST(ServicesFile, Seed_IsReadWhole) {
  const auto read = read_services_file(json::parse(kSeed));
  ASSERT_TRUE(read.has_value()) << read.error().message;
  ASSERT_EQ(read->size(), 1U);
  const ServiceEntry& entry = read->front();
  EXPECT_EQ(entry.name, "infinilm-gpu1");
  EXPECT_EQ(entry.host, "192.168.1.10");
  EXPECT_EQ(entry.port, 5001);
  EXPECT_EQ(entry.weight, 1);
  EXPECT_EQ(entry.max_fails, 3);
  EXPECT_EQ(entry.fail_timeout, 30s);
  EXPECT_FALSE(entry.backup.has_value());
  EXPECT_EQ(entry.config, "");
  EXPECT_EQ(json::parse(entry.metadata_json)["gpu_count"], 4);
}

TEST(ServicesFile, CommentsAndTheRest_AreFine) {
  EXPECT_EQ(fault(R"({"_note": 1, "services": [{"name": "a", "host": "h", "port": 1, "backup": true,
                      "fail_timeout": 5, "config": "x.toml", "$x": 1, "metadata": null}]})"),
            "");
}

TEST(ServicesFile, Faults_NameThePlace) {
  const std::string good = R"({"name": "a", "host": "h", "port": 1})";
  struct Row {
    std::string text, error;
  };
  const Row rows[] = {
      {"[]", "the file must hold one JSON object with a list 'services'"},
      {"{}", "Missing required field: services"},
      {R"({"static_services": {"services": []}})", "Missing required field: services"},
      {R"({"services": {}})", "'services' must be an array, got an object"},
      {R"({"services": [5]})", "'services[0]' must be an object, got 5"},
      {R"({"services": [)" + good + R"(, {"name": "b", "host": "h"}]})", "Missing required field: services[1].port"},
      {R"({"services": [{"name": "a", "host": "h", "port": 65535}]})",
       "'services[0].port' must be an integer from 1 to 65534, got 65535"},
      {R"({"services": [{"name": "a", "host": "h", "port": 1, "wieght": 2}]})",
       "unknown key 'services[0].wieght'; did you mean 'weight'?"},
      {R"({"services": [{"name": "a", "host": "h", "port": 1, "fail_timeout": "x"}]})",
       "'services[0].fail_timeout' must be a duration from 1ms to 24h, got \"x\""},
      {R"({"services": [{"name": "a", "host": "h", "port": 1, "metadata": {"health_url": "gpu1:5002"}}]})",
       "'services[0].metadata.health_url' must be an http or https URL of at most 1024 bytes, got \"gpu1:5002\""},
      {R"({"services": [{"name": "a", "host": "h", "port": 1, "weight": -1}]})",
       "'services[0].weight' must be an integer from 0 to 1000000, got -1"},
      {R"({"services": [{"name": "a", "host": "h", "port": 1, "max_fails": "3"}]})",
       "'services[0].max_fails' must be an integer from 0 to 1000000, got \"3\""},
      {R"({"services": [)" + good + "," + good + "]}", "'services[0]' and 'services[1]' have the same name 'a'"},
      {R"({"servces": [], "services": []})", "unknown key 'servces'; did you mean 'services'?"},
  };
  for (const Row& row : rows) EXPECT_EQ(fault(row.text), row.error) << row.text;
}

TEST(ServicesOfHost, OwnOnes_AreChosenByNameOrAddress) {
  const auto all = entries({{"a", "192.168.1.10", 1},
                            {"b", "GPU1.example", 1},
                            {"c", "localhost", 10},
                            {"d", "::1", 20},
                            {"e", "other", 1}});
  struct Row {
    std::vector<std::string> own;
    std::string names;
  };
  const Row rows[] = {{{"192.168.1.10"}, "a"},
                      {{"gpu1.EXAMPLE"}, "b"},
                      {{"localhost", "127.0.0.1", "192.168.1.10"}, "ac"},
                      {{"0:0:0:0:0:0:0:1"}, "d"},
                      {{"Localhost", "::1"}, "cd"}};
  for (const Row& row : rows) {
    const auto own = services_of_host(all, row.own);
    ASSERT_TRUE(own.has_value()) << own.error().message;
    std::string names;
    for (const ServiceEntry& entry : *own) names += entry.name;
    EXPECT_EQ(names, row.names);
  }
}

TEST(ServicesOfHost, NoneForThisHost_ListsTheHosts) {
  const auto all = entries({{"a", "h1", 1}, {"b", "h2", 1}, {"c", "h1", 5}});
  EXPECT_EQ(
      services_of_host(all, {"localhost", "me"}).error().message,
      "no service of the file belongs to this host (localhost, me); the file's hosts are h1, h2; --host says which "
      "one this is");
  EXPECT_EQ(services_of_host({}, {"me"}).error().message, "the list 'services' is empty");
}

TEST(NamedServices, Names_ChooseInTheOrderOfTheFile) {
  const auto all = entries({{"a", "h", 1}, {"b", "h", 3}, {"c", "h", 5}});
  const auto chosen = [&all](const std::vector<std::string>& names) {
    const auto wanted = named_services(all, names);
    if (!wanted) return wanted.error().message;
    std::string out;
    for (const ServiceEntry& entry : *wanted) out += entry.name;
    return out;
  };
  EXPECT_EQ(chosen({}), "abc");
  EXPECT_EQ(chosen({"c", "a"}), "ac");
  EXPECT_EQ(chosen({"a", "x"}), "no service of this host is called 'x'; there are a, b, c");
}

TEST(ServicesOfHost, SharedPorts_NameBoth) {
  const auto message = [](std::uint16_t first, std::uint16_t second) {
    const auto own = services_of_host(entries({{"a", "h", first}, {"b", "h", second}, {"far", "other", first}}), {"h"});
    return own ? "" : own.error().message;
  };
  EXPECT_EQ(message(5001, 5003), "");
  EXPECT_EQ(message(5003, 5001), "");
  const std::string end = ": each takes its own and the next one";
  EXPECT_EQ(message(5001, 5001), "services 'a' (port 5001) and 'b' (port 5001) both need port 5001" + end);
  EXPECT_EQ(message(5001, 5002), "services 'a' (port 5001) and 'b' (port 5002) both need port 5002" + end);
  EXPECT_EQ(message(5002, 5001), "services 'a' (port 5002) and 'b' (port 5001) both need port 5002" + end);
}

}  // namespace
}  // namespace svc
