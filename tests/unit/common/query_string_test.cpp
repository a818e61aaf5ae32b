#include "common/core/query_string.hpp"

#include <gtest/gtest.h>

#include <string>

namespace svc {
namespace {

TEST(QueryString, Get_FindsTheFirstValue) {
  struct Row {
    std::string raw;
    std::string name;
    std::optional<std::string> value;
  };
  const Row rows[] = {
      {"", "a", std::nullopt},
      {"a=1", "a", "1"},
      {"a=1&a=2", "a", "1"},
      {"b=2&a=1", "a", "1"},
      {"a", "a", ""},
      {"a=", "a", ""},
      {"&&a=1&&", "a", "1"},
      {"a=b=c", "a", "b=c"},
      {"a=x+y", "a", "x y"},
      {"a=x%20y", "a", "x y"},
      {"a=x%2By", "a", "x+y"},
      {"a%20b=1", "a b", "1"},
      {"%61=1", "a", "1"},
      {"=1", "", "1"},
      {"A=1", "a", std::nullopt},
      {"a=%zz", "a", "%zz"},
      {"a=%", "a", "%"},
      {"a=%00", "a", "%00"},
      {"a=%zz+b", "a", "%zz+b"},
      {"a=1?b=2", "a", "1?b=2"},
      {"a=%26b%3D2", "a", "&b=2"},
      {"a=1;b=2", "b", std::nullopt},
      {"healthy=true&status=running", "status", "running"},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.raw);
    const QueryString query(row.raw);
    EXPECT_EQ(query.get(row.name), row.value);
    EXPECT_EQ(query.has(row.name), row.value.has_value());
  }
}

TEST(QueryString, ManyPairs_AreBounded) {
  std::string raw;
  for (int i = 0; i < 100'000; ++i) raw += "a&";
  raw += "last=1";
  EXPECT_FALSE(QueryString(raw).has("last"));
  std::string few;
  for (int i = 0; i < 255; ++i) few += "a&";
  EXPECT_TRUE(QueryString(few + "last=1").has("last"));
}

}  // namespace
}  // namespace svc
