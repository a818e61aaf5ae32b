#include "registry/core/query.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <string_view>

namespace svc::registry {
namespace {

using namespace std::chrono_literals;

ListRequest parsed(std::string_view query) {
  const auto request = parse_list_request(QueryString(query));
  EXPECT_TRUE(request.has_value()) << query;
  return request ? *request : ListRequest{};
}

TEST(ListRequest, Parse_NoParameters_AsksForEverythingAtOnce) {
  const ListRequest request = parsed("");
  EXPECT_EQ(request.filter, ServiceFilter{});
  EXPECT_EQ(request.watch.wait, 0s);
  EXPECT_FALSE(request.watch.since || request.watch.epoch || request.watch.changes_only);
  EXPECT_EQ(request.filter_key, "");
}

TEST(ListRequest, Parse_EachFilter_IsRead) {
  const ListRequest request = parsed("status=running&type=openai-api&model=Qwen%2F7B+chat&host=10.0.0.1&healthy=true");
  EXPECT_EQ(request.filter.status, "running");
  EXPECT_EQ(request.filter.type, "openai-api");
  EXPECT_EQ(request.filter.model, "Qwen/7B chat");
  EXPECT_EQ(request.filter.host, "10.0.0.1");
  EXPECT_EQ(request.filter.healthy, true);
}

TEST(ListRequest, Parse_Healthy_IsTrueOnlyForTheWordTrue) {
  for (const auto* text : {"healthy=true", "healthy=TRUE", "healthy=True", "healthy=tRuE"}) {
    EXPECT_EQ(parsed(text).filter.healthy, true) << text;
  }
  for (const auto* text :
       {"healthy=false", "healthy=1", "healthy=yes", "healthy=", "healthy", "healthy=truee", "healthy=tru"}) {
    EXPECT_EQ(parsed(text).filter.healthy, false) << text;
  }
}

TEST(ListRequest, Parse_UnknownAndBlankParameters_AreIgnored) {
  EXPECT_EQ(parsed("colour=red&status=&model=&host&type=&since=&wait=&epoch="), ListRequest{});
}

TEST(ListRequest, Parse_Wait_IsADurationCappedAtAMinute) {
  EXPECT_EQ(parsed("wait=30s").watch.wait, 30s);
  EXPECT_EQ(parsed("wait=500ms").watch.wait, 500ms);
  EXPECT_EQ(parsed("wait=30").watch.wait, 30s);
  EXPECT_EQ(parsed("wait=0").watch.wait, 0s);
  EXPECT_EQ(parsed("wait=60s").watch.wait, 60s);
  EXPECT_EQ(parsed("wait=1h").watch.wait, 60s);
}

TEST(ListRequest, Parse_SinceEpochChanges_AreRead) {
  const ListRequest request = parsed("since=18446744073709551615&epoch=abc&changes=true");
  EXPECT_EQ(request.watch.since, ~Revision{0});
  EXPECT_EQ(request.watch.epoch, "abc");
  EXPECT_TRUE(request.watch.changes_only);
  EXPECT_EQ(parsed("since=0").watch.since, Revision{0});
  EXPECT_FALSE(parsed("changes=1").watch.changes_only);
}

struct Bad {
  std::string_view query, message;
};

TEST(ListRequest, Parse_Unreadable_NamesParameterAndText) {
  const Bad cases[] = {
      {"since=abc", R"('since' must be a whole number, got "abc")"},
      {"since=-1", R"('since' must be a whole number, got "-1")"},
      {"since=1.5", R"('since' must be a whole number, got "1.5")"},
      {"since=1+2", R"('since' must be a whole number, got "1 2")"},
      {"since=18446744073709551616", R"('since' must be a whole number, got "18446744073709551616")"},
      {"wait=abc", R"('wait' must be a duration such as 30s, 500ms or 30, got "abc")"},
      {"wait=-5s", R"('wait' must be a duration such as 30s, 500ms or 30, got "-5s")"},
      {"wait=5+s", R"('wait' must be a duration such as 30s, 500ms or 30, got "5 s")"},
      {"wait=%22", R"('wait' must be a duration such as 30s, 500ms or 30, got "\"")"},
  };
  for (const auto& c : cases) {
    const auto request = parse_list_request(QueryString(c.query));
    ASSERT_TRUE(request.has_error()) << c.query;
    EXPECT_EQ(request.error().code, Errc::invalid_argument);
    EXPECT_EQ(request.error().message, c.message);
  }
}

TEST(ListRequest, FilterKey_SameFilterInAnyOrder_IsEqual) {
  EXPECT_EQ(parsed("status=running&host=a").filter_key, parsed("host=a&x=1&status=running&wait=3").filter_key);
}

TEST(ListRequest, FilterKey_DifferentFilters_Differ) {
  const std::string_view queries[] = {"",
                                      "status=a",
                                      "type=a",
                                      "model=a",
                                      "host=a",
                                      "healthy=true",
                                      "healthy=0",
                                      "status=a&type=b",
                                      "status=at1%3Ab",
                                      "status=a%2B",
                                      "status=a&healthy=true"};
  for (const auto left : queries) {
    for (const auto right : queries) {
      EXPECT_EQ(parsed(left).filter_key == parsed(right).filter_key, left == right) << left << " / " << right;
    }
  }
}

TEST(Generation, OfADelete_IsAWholeNumberOrAbsent) {
  EXPECT_EQ(*parse_generation(QueryString("")), std::nullopt);
  EXPECT_EQ(*parse_generation(QueryString("generation=")), std::nullopt);
  EXPECT_EQ(*parse_generation(QueryString("x=1&generation=1000001")), std::uint64_t{1'000'001});
  for (const auto* bad : {"generation=-1", "generation=1x", "generation=+", "generation=18446744073709551616"}) {
    EXPECT_EQ(parse_generation(QueryString(bad)).error().code, Errc::invalid_argument) << bad;
  }
  EXPECT_EQ(parse_generation(QueryString("generation=abc")).error().message,
            R"('generation' must be a whole number, got "abc")");
}

}  // namespace
}  // namespace svc::registry
