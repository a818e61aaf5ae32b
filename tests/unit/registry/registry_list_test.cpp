// Filters, order and counts.
#include <gtest/gtest.h>

#include "registry/core/registry_state.hpp"
#include "tests/unit/registry/fixture.hpp"

namespace svc::registry {
namespace {

using namespace test;
using Names = std::vector<std::string>;

class RegistryList : public ::testing::Test {
 protected:
  RegistryList() {
    auto chat = make_spec("chat", "10.0.0.1", 8000);
    chat.metadata_json = R"({"type":"openai-api","models":["qwen","llama"]})";
    d.enroll(chat);
    auto own = make_spec("own", "10.0.0.2", 8000);
    own.metadata_json = R"({"type":"openai-api","models":["qwen"]})";
    own.models = {"mistral"};
    d.enroll(own);
    auto agent = make_spec("agent", "10.0.0.1", 8001);
    agent.metadata_json = R"({"type":"InfiniLM"})";
    agent.status = "starting";
    d.enroll(agent);
    auto listed = make_spec("listed", "10.0.0.3", 8000);
    listed.hostname = "gpu3";
    listed.metadata_json = R"({"type":"openai-api","models":[],"models_list":[{"id":"llama"},{"no":1},7]})";
    d.enroll(listed);
    d.probe("listed", false, 3);
  }
  Names with(void (*fill)(ServiceFilter&)) const {
    ServiceFilter filter;
    fill(filter);
    return d.names(filter);
  }
  Driver d;
};

TEST_F(RegistryList, ForEach_NoFilter_GivesAllInOrderOfRegistration) {
  EXPECT_EQ(d.names(), (Names{"chat", "own", "agent", "listed"}));
}

TEST_F(RegistryList, ForEach_EachFilter_Selects) {
  EXPECT_EQ(with([](ServiceFilter& f) { f.status = "starting"; }), (Names{"agent"}));
  EXPECT_EQ(with([](ServiceFilter& f) { f.status = "STARTING"; }), (Names{}));
  EXPECT_EQ(with([](ServiceFilter& f) { f.type = "openai-api"; }), (Names{"chat", "own", "listed"}));
  EXPECT_EQ(with([](ServiceFilter& f) { f.model = "qwen"; }), (Names{"chat"}));
  EXPECT_EQ(with([](ServiceFilter& f) { f.model = "mistral"; }), (Names{"own"}));
  EXPECT_EQ(with([](ServiceFilter& f) { f.model = "llama"; }), (Names{"chat", "listed"}));
  EXPECT_EQ(with([](ServiceFilter& f) { f.host = "10.0.0.1"; }), (Names{"chat", "agent"}));
  EXPECT_EQ(with([](ServiceFilter& f) { f.host = "gpu3"; }), (Names{"listed"}));
  EXPECT_EQ(with([](ServiceFilter& f) { f.healthy = true; }), (Names{"chat", "own"}));
  EXPECT_EQ(with([](ServiceFilter& f) { f.healthy = false; }), (Names{"agent", "listed"}));
}

TEST_F(RegistryList, ForEach_SeveralFilters_AllMustMatch) {
  EXPECT_EQ(with([](ServiceFilter& f) {
              f.model = "llama";
              f.healthy = true;
            }),
            (Names{"chat"}));
  EXPECT_EQ(with([](ServiceFilter& f) {
              f.host = "10.0.0.2";
              f.type = "InfiniLM";
            }),
            (Names{}));
}

TEST_F(RegistryList, ForEach_Visits_SayWhetherHealthy) {
  d.state.for_each({}, d.now, [&](const ServiceEntry& entry, bool healthy) {
    EXPECT_EQ(healthy, d.state.is_healthy(entry, d.now));
  });
}

TEST_F(RegistryList, Stats_Counts_AreSortedAndAddUp) {
  const RegistryStats stats = d.state.stats(d.now);
  using Counts = std::vector<std::pair<std::string, std::size_t>>;
  EXPECT_EQ(stats.total, 4U);
  EXPECT_EQ(stats.healthy, 2U);
  EXPECT_EQ(stats.unhealthy, 2U);
  EXPECT_EQ(stats.by_status, (Counts{{"running", 3}, {"starting", 1}}));
  EXPECT_EQ(stats.by_host, (Counts{{"10.0.0.1", 2}, {"10.0.0.2", 1}, {"10.0.0.3", 1}}));
  EXPECT_EQ(stats.by_health, (Counts{{"unhealthy", 1}, {"unknown", 3}}));
}

TEST(RegistryHosts, WrittenDifferently_AreOne) {
  Driver d;
  d.enroll(make_spec("a", "::1"));
  d.enroll(make_spec("b", "[::1]"));
  d.enroll(make_spec("c", "0:0::1"));
  const RegistryStats stats = d.state.stats(d.now);
  EXPECT_EQ(stats.by_host, (std::vector<std::pair<std::string, std::size_t>>{{"::1", 3}}));
  for (const char* host : {"::1", "[::1]"}) {
    Names found;
    ServiceFilter filter;
    filter.host = host;
    d.state.for_each(filter, d.now, [&](const ServiceEntry& entry, bool) { found.push_back(entry.stored.spec.name); });
    EXPECT_EQ(found, (Names{"a", "b", "c"})) << host;
  }
  const auto again = d.state.plan_register(make_spec("a", "[::1]"), d.now);
  ASSERT_TRUE(again.has_value());
  EXPECT_FALSE(again->name_conflict);
  EXPECT_EQ(again->service.spec.host, "[::1]") << "it is answered as it was registered";
}

TEST(RegistryOrder, Churn_OfThousands_KeepsTheOrder) {
  Driver d;
  Names expected;
  for (int i = 0; i < 1000; ++i) {
    const std::string name = "s" + std::to_string(i);
    d.enroll(make_spec(name));
    if (i % 7 != 0) continue;
    expected.push_back(name);
  }
  for (int i = 0; i < 1000; ++i) {
    if (i % 7 != 0) d.remove("s" + std::to_string(i));
  }
  EXPECT_EQ(d.names(), expected);
  d.enroll(make_spec("last"));
  d.enroll(make_spec("s7"));
  expected.push_back("last");
  EXPECT_EQ(d.names(), expected);
  EXPECT_EQ(d.state.size(), expected.size());
}

}  // namespace
}  // namespace svc::registry
