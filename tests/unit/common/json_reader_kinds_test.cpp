// JsonReader: what each kind of value accepts, and the message when it does not.
#include <gtest/gtest.h>

#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "common/core/json_reader.hpp"
#include "tests/unit/common/messages.hpp"

namespace svc {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using test::message;

TEST(JsonReader, Integer_GoodForms) {
  const json object = json::parse(R"({"a": 8081, "b": 30.0, "c": 3e1, "d": -5, "e": 9007199254740992.0})");
  JsonReader reader(object, "");
  std::uint16_t port = 0;
  EXPECT_TRUE(reader.integer("a", port, 1, 65535));
  EXPECT_EQ(port, 8081);
  int value = 0;
  EXPECT_TRUE(reader.integer("b", value, 0, 100));
  EXPECT_EQ(value, 30);
  EXPECT_TRUE(reader.integer("c", value, 0, 100));
  EXPECT_EQ(value, 30);
  EXPECT_TRUE(reader.integer("d", value, -5, 100));
  EXPECT_EQ(value, -5);
  std::int64_t large = 0;
  EXPECT_TRUE(reader.integer("e", large, 0, std::numeric_limits<std::int64_t>::max()));
  EXPECT_EQ(large, 9007199254740992);
  EXPECT_EQ(message(reader), "");
}

TEST(JsonReader, Integer_BadValuesAreNamed) {
  struct Row {
    std::string value;
    std::string got;
  };
  const Row rows[] = {
      {R"("abc")", R"("abc")"},
      {R"("8081")", R"("8081")"},
      {"0", "0"},
      {"65536", "65536"},
      {"-1", "-1"},
      {"1.5", "1.5"},
      {"true", "true"},
      {"[1]", "an array"},
      {"{}", "an object"},
      {"18446744073709551615", "18446744073709551615"},
      {"9223372036854775808", "9223372036854775808"},
      {"1e308", "1e+308"},
      {"1e16", "1e+16"},
      {R"("\u001b[31m\nx")", R"("\u001b[31m\nx")"},
      {"\"" + std::string(200, 'x') + "\"", "\"" + std::string(60, 'x') + "...\""},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.value);
    const json object = {{"port", json::parse(row.value)}};
    JsonReader reader(object, "registry");
    std::uint16_t port = 7;
    EXPECT_FALSE(reader.integer("port", port, 1, 65535));
    EXPECT_EQ(port, 7);
    EXPECT_EQ(message(reader), "'registry.port' must be an integer from 1 to 65535, got " + row.got);
  }
}

TEST(JsonReader, Integer_BoundsAreWordedByWhatThereIs) {
  constexpr auto kLow = std::numeric_limits<std::int64_t>::min();
  constexpr auto kHigh = std::numeric_limits<std::int64_t>::max();
  const json object = {{"n", "x"}};
  const auto text = [&](std::int64_t lo, std::int64_t hi) {
    JsonReader reader(object, "");
    std::int64_t target = 0;
    reader.integer("n", target, lo, hi);
    return message(reader);
  };
  EXPECT_EQ(text(kLow, kHigh), R"('n' must be an integer, got "x")");
  EXPECT_EQ(text(1, kHigh), R"('n' must be an integer of at least 1, got "x")");
  EXPECT_EQ(text(kLow, 9), R"('n' must be an integer of at most 9, got "x")");
}

TEST(JsonReader, Number_BoundsAreInclusive) {
  const json object = json::parse(R"({"a": 0.5, "b": 2, "c": 2.001, "d": "0.5"})");
  double value = 0;
  JsonReader reader(object, "w");
  EXPECT_TRUE(reader.number("a", value, 0.5, 2));
  EXPECT_TRUE(reader.number("b", value, 0.5, 2));
  EXPECT_EQ(value, 2.0);
  EXPECT_FALSE(reader.number("c", value, 0.5, 2));
  EXPECT_EQ(message(reader), "'w.c' must be a number from 0.5 to 2, got 2.001");
  JsonReader other(object, "w");
  EXPECT_FALSE(other.number("d", value, 0.5, 2));
  EXPECT_EQ(message(other), "'w.d' must be a number from 0.5 to 2, got \"0.5\"");
}

TEST(JsonReader, Flag_TakesBooleansOnly) {
  const json object = json::parse(R"({"a": true, "b": 1, "c": "true"})");
  bool value = false;
  JsonReader reader(object, "");
  EXPECT_TRUE(reader.flag("a", value));
  EXPECT_TRUE(value);
  EXPECT_FALSE(reader.flag("b", value));
  EXPECT_EQ(message(reader), "'b' must be true or false, got 1");
  JsonReader other(object, "");
  EXPECT_FALSE(other.flag("c", value));
  EXPECT_EQ(message(other), "'c' must be true or false, got \"true\"");
}

TEST(JsonReader, Duration_TakesSecondsOrText) {
  struct Row {
    std::string value;
    Duration expected;
  };
  const Row rows[] = {{"30", 30s}, {"0.5", 500ms}, {R"("30s")", 30s}, {R"("1.5h")", 90min}, {R"("45")", 45s}};
  for (const Row& row : rows) {
    SCOPED_TRACE(row.value);
    const json object = {{"t", json::parse(row.value)}};
    JsonReader reader(object, "");
    Duration target{};
    EXPECT_TRUE(reader.duration("t", target, 0s, 2h));
    EXPECT_EQ(target, row.expected);
  }
}

TEST(JsonReader, Duration_BadValuesAreNamed) {
  for (const std::string value : {"\"abc\"", "-1", "0.5", "3601", "\"2h\"", "true", "1e300", "\"\"", "\"-5s\""}) {
    SCOPED_TRACE(value);
    const json object = {{"t", json::parse(value)}};
    JsonReader reader(object, "registry");
    Duration target = 7s;
    EXPECT_FALSE(reader.duration("t", target, 1s, 1h));
    EXPECT_EQ(target, 7s);
    EXPECT_EQ(message(reader), "'registry.t' must be a duration from 1s to 1h, got " + json::parse(value).dump());
  }
}

TEST(JsonReader, Text_BoundsAreBytes) {
  const json object = {{"ok", "中"},  {"empty", ""},       {"long", std::string(254, 'a')},
                       {"number", 5}, {"newline", "a\nb"}, {"del", "a\x7f"}};
  struct Row {
    std::string key;
    std::string message;
  };
  const Row rows[] = {
      {"ok", ""},
      {"empty", "'empty' must not be empty"},
      {"long", "'long' must be a string of 1 to 253 bytes, got 254 bytes"},
      {"number", "'number' must be a string, got 5"},
      {"newline", "'newline' must not have control characters"},
      {"del", "'del' must not have control characters"},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.key);
    JsonReader reader(object, "");
    std::string target = "kept";
    EXPECT_EQ(reader.text(row.key, target, {1, 253}), row.message.empty());
    EXPECT_EQ(message(reader), row.message);
    EXPECT_EQ(target == "kept", !row.message.empty());
  }
  JsonReader tolerant(object, "");
  std::string target;
  EXPECT_TRUE(tolerant.text("newline", target, {.controls = true}));
  EXPECT_EQ(target, "a\nb");
}

TEST(JsonReader, Choice_ListsTheWords) {
  const std::vector<std::string> words{"text", "json"};
  const json object = {{"good", "json"}, {"bad", "xml"}, {"case", "JSON"}, {"number", 1}};
  JsonReader reader(object, "log");
  std::string target = "text";
  EXPECT_TRUE(reader.choice("good", target, words));
  EXPECT_EQ(target, "json");
  EXPECT_FALSE(reader.choice("bad", target, words));
  EXPECT_EQ(message(reader), "'log.bad' must be one of 'text', 'json', got \"xml\"");
  JsonReader other(object, "log");
  EXPECT_FALSE(other.choice("case", target, words));
  EXPECT_FALSE(other.choice("number", target, words));
  EXPECT_EQ(target, "json");
}

TEST(JsonReader, TextList_ReplacesWholeOrNotAtAll) {
  const json object =
      json::parse(R"({"good": ["a", "b"], "none": [], "mixed": ["a", 5], "text": "a", "blank": ["a", ""],
                                        "many": ["a","b","c"]})");
  struct Row {
    std::string key;
    std::string message;
  };
  const Row rows[] = {
      {"mixed", "'m.mixed[1]' must be a string, got 5"},
      {"text", "'m.text' must be an array of strings, got \"a\""},
      {"blank", "'m.blank[1]' must not be empty"},
      {"many", "'m.many' must have at most 2 items, got 3"},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.key);
    JsonReader reader(object, "m");
    std::vector<std::string> list{"kept"};
    EXPECT_FALSE(reader.text_list(row.key, list, {1, 10}, 2));
    EXPECT_EQ(message(reader), row.message);
    EXPECT_EQ(list, std::vector<std::string>{"kept"});
  }
  JsonReader reader(object, "m");
  std::vector<std::string> list{"old"};
  EXPECT_TRUE(reader.text_list("good", list, {1, 10}, 2));
  EXPECT_EQ(list, (std::vector<std::string>{"a", "b"}));
  EXPECT_TRUE(reader.text_list("none", list));
  EXPECT_TRUE(list.empty());
}

}  // namespace
}  // namespace svc
