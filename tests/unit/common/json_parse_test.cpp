#include <gtest/gtest.h>

#include <ctime>
#include <nlohmann/json.hpp>
#include <string>

#include "common/core/json_reader.hpp"

namespace svc {
namespace {

using nlohmann::json;

std::string repeat(std::string_view text, std::size_t times) {
  std::string out;
  out.reserve(text.size() * times);
  for (std::size_t i = 0; i < times; ++i) out += text;
  return out;
}

/// CPU time. Generous against the 20 ms that a megabyte needs, for sanitizers; quadratic behaviour takes minutes.
// Not a measure of speed: work that grows with the square of these texts would take hours, sanitizers take seconds.
constexpr std::clock_t kCpuLimit = 60 * CLOCKS_PER_SEC;

TEST(ParseJson, GoodText_GivesTheTree) {
  const char* rows[] = {
      "{}",
      "[]",
      "0",
      "-0",
      "-1.5e-3",
      "true",
      "null",
      "\"x\"",
      " \t\r\n{ } \n",
      R"({"a":[1,2,{"b":null}],"c":"d"})",
      R"({"":{"":[]}})",
      R"(["\u00e9\ud83d\ude00\u0000","中"])",
      "18446744073709551615",
      "-9223372036854775808",
      "18446744073709551616",
      "1e308",
      "1e-999999999",
      "[[],[],{},[[]]]",
  };
  for (const char* text : rows) {
    SCOPED_TRACE(text);
    const auto result = parse_json(text);
    ASSERT_TRUE(result.has_value()) << result.error().message;
    EXPECT_EQ(*result, json::parse(text));
    EXPECT_EQ(result->dump(), json::parse(text).dump());
  }
}

TEST(ParseJson, DuplicateKeys_TheLastWins) {
  EXPECT_EQ(parse_json(R"({"a":1,"a":2})")->dump(), R"({"a":2})");
  EXPECT_EQ(parse_json(R"({"a":{"x":1},"a":[2]})")->dump(), R"({"a":[2]})");
  EXPECT_EQ(parse_json(R"({"a":[1],"b":0,"a":{"x":{"y":3}}})")->dump(), R"({"a":{"x":{"y":3}},"b":0})");
}

TEST(ParseJson, ByteOrderMark_IsSkipped) {
  EXPECT_EQ(parse_json("\xEF\xBB\xBF{\"a\":1}")->dump(), R"({"a":1})");
  EXPECT_TRUE(parse_json("\xEF\xBB{}").has_error());
  EXPECT_TRUE(parse_json("\xEF\xBB\xBF").has_error());
  EXPECT_TRUE(parse_json("\xEF\xBB\xBF\xEF\xBB\xBF{}").has_error());
  EXPECT_TRUE(parse_json("{}\xEF\xBB\xBF").has_error());
  EXPECT_TRUE(parse_json(std::string("\xFF\xFE{\0}\0", 6)).has_error());
}

TEST(ParseJson, BadText_NamesThePlaceAndTheReason) {
  struct Row {
    std::string text;
    std::string message;
  };
  const Row rows[] = {
      {"", "line 1, column 1: unexpected end of input; expected '[', '{', or a literal"},
      {"   ", "line 1, column 4: unexpected end of input; expected '[', '{', or a literal"},
      {"{", "line 1, column 2: unexpected end of input; expected string literal"},
      {"[1,]", "line 1, column 4: unexpected ']'; expected '[', '{', or a literal"},
      {"{\"a\":1,}", "line 1, column 8: unexpected '}'; expected string literal"},
      {"{\"a\" 1}", "line 1, column 6: unexpected number literal; expected ':'"},
      {"{a:1}", "line 1, column 2: invalid literal; expected string literal"},
      {"{'a':1}", "line 1, column 2: invalid literal; expected string literal"},
      {"{\n  \"a\": tru\n}", "line 2, column 11: invalid literal"},
      {"{}{}", "line 1, column 3: unexpected '{'; expected end of input"},
      {"{} x", "line 1, column 4: invalid literal; expected end of input"},
      {"[1] [2]", "line 1, column 5: unexpected '['; expected end of input"},
      {"// c\n{}", "line 1, column 1: invalid literal"},
      {"NaN", "line 1, column 1: invalid literal"},
      {"Infinity", "line 1, column 1: invalid literal"},
      {"01", "line 1, column 2: unexpected number literal; expected end of input"},
      {"+1", "line 1, column 1: invalid literal"},
      {".5", "line 1, column 1: invalid literal"},
      {"1.", "line 1, column 3: invalid number; expected digit after '.'"},
      {"0x10", "line 1, column 2: invalid literal; expected end of input"},
      {"1e", "line 1, column 3: invalid number; expected '+', '-', or digit after exponent"},
      {"\"a", "line 1, column 3: invalid string: missing closing quote"},
      {"\"a\nb\"", "line 1, column 3: invalid string: control character U+000A (LF) must be escaped to \\u000A or \\n"},
      {"\"\\x\"", "line 1, column 3: invalid string: forbidden character after backslash"},
      {"\"\\ud800\"", "line 1, column 8: invalid string: surrogate U+D800..U+DBFF must be followed by U+DC00..U+DFFF"},
      {"\"\xff\"", "line 1, column 2: invalid string: ill-formed UTF-8 byte"},
      {"\"\xC0\xAF\"", "line 1, column 2: invalid string: ill-formed UTF-8 byte"},
      {"\"\xED\xA0\x80\"", "line 1, column 3: invalid string: ill-formed UTF-8 byte"},
      {"\xff", "line 1, column 1: invalid literal"},
      {"1e999999999", "line 1, column 11: a number is too large"},
      {"{\"a\":\n -1e400}", "line 2, column 7: a number is too large"},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.text);
    const auto result = parse_json(row.text);
    ASSERT_TRUE(result.has_error());
    EXPECT_EQ(result.error().message, "invalid JSON at " + row.message);
    EXPECT_EQ(result.error().code, Errc::invalid_argument);
    EXPECT_EQ(result.error().source, ErrorSource::client);
  }
}

// A raw NUL ends the text for the parser beneath: without the check "{}\0garbage" would pass.
TEST(ParseJson, NulByte_IsRefusedWhereverItStands) {
  struct Row {
    std::string text;
    std::string place;
  };
  const Row rows[] = {
      {std::string("\0", 1), "line 1, column 1"},
      {std::string("{}\0garbage", 10), "line 1, column 3"},
      {std::string("{}\0", 3), "line 1, column 3"},
      {std::string("\0{}", 3), "line 1, column 1"},
      {std::string("{\"a\":\"x\0y\"}", 11), "line 1, column 8"},
      {std::string("{\n\"a\":\"x\\\0y\"}", 13), "line 2, column 8"},
      {std::string("1\0", 2), "line 1, column 2"},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.place);
    const auto result = parse_json(row.text);
    ASSERT_TRUE(result.has_error());
    EXPECT_EQ(result.error().message, "invalid JSON at " + row.place + ": a NUL byte");
  }
}

TEST(ParseJson, Depth_IsBoundedExactly) {
  const auto nested = [](std::size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); };
  EXPECT_TRUE(parse_json(nested(64)).has_value());
  const auto result = parse_json(nested(65));
  ASSERT_TRUE(result.has_error());
  EXPECT_EQ(result.error().message, "invalid JSON at line 1, column 65: nested deeper than 64 levels");
  EXPECT_TRUE(parse_json(repeat("{\"a\":", 64) + "1" + repeat("}", 64)).has_value());
  EXPECT_TRUE(parse_json(repeat("{\"a\":", 65) + "1" + repeat("}", 65)).has_error());
  EXPECT_TRUE(parse_json(repeat("[{\"a\":", 32) + "1" + repeat("}]", 32)).has_value());
  EXPECT_TRUE(parse_json("{\"a\":1}", JsonLimits{1}).has_value());
  EXPECT_TRUE(parse_json("{\"a\":[]}", JsonLimits{1}).has_error());
  EXPECT_TRUE(parse_json("1", JsonLimits{0}).has_value());
}

TEST(ParseJson, DigitsInARow_AreBoundedExactly) {
  EXPECT_TRUE(parse_json("0." + std::string(1024, '1')).has_value());
  EXPECT_TRUE(parse_json("\"" + std::string(2000, '1') + "\"").has_value());
  const auto result = parse_json("[0." + std::string(1025, '1') + "]");
  ASSERT_TRUE(result.has_error());
  EXPECT_EQ(result.error().message, "invalid JSON at line 1, column 1028: a number has more than 1024 digits in a row");
  EXPECT_EQ(parse_json(std::string(400, '9')).error().message,
            "invalid JSON at line 1, column 400: a number is too large");
}

TEST(ParseJson, BracketsInStrings_AreNotDepth) {
  EXPECT_TRUE(parse_json("[\"" + std::string(1000, '[') + "\"]").has_value());
  EXPECT_TRUE(parse_json("[\"\\\"" + std::string(1000, '{') + "\"]").has_value());
  EXPECT_TRUE(parse_json("[\"\\\\\"," + std::string(100, '[') + std::string(100, ']') + "]").has_error());
  EXPECT_TRUE(parse_json(repeat("[],", 0) + "[" + repeat("[],", 1000) + "[]]").has_value());
}

// CVE-2025-11230 and the like: short or long, no text may cost more than its length.
TEST(ParseJson, Bombs_EndQuickly) {
  struct Row {
    const char* name;
    std::string text;
    bool good;
  };
  const Row rows[] = {
      {"depth ten thousand", std::string(10'000, '[') + std::string(10'000, ']'), false},
      {"depth one million, open", std::string(1'000'000, '['), false},
      {"objects open", repeat("{\"a\":", 200'000), false},
      {"exponent", "1e999999999", false},
      {"exponent of many digits", "1e" + std::string(1'000'000, '9'), false},
      {"negative exponent of many digits", "1e-" + std::string(1'000'000, '9'), false},
      {"a megabyte of digits", std::string(1'000'000, '9'), false},
      {"a megabyte of fraction", "0." + std::string(1'000'000, '1'), false},
      {"a megabyte of zeros", "0." + std::string(1'000'000, '0') + "1", false},
      {"digits that cancel out", std::string("1") + std::string(300'000, '0') + "e-300000", false},
      {"a megabyte string unclosed", "\"" + std::string(1'000'000, 'a'), false},
      {"escapes unclosed", "\"" + repeat("\\u0041", 200'000), false},
      {"backslashes", "\"" + std::string(1'000'001, '\\'), false},
      {"many numbers", "[" + repeat("1,", 500'000) + "1]", true},
      {"many equal keys", "{" + repeat("\"a\":1,", 200'000) + "\"a\":1}", true},
      {"many newlines", std::string(1'000'000, '\n') + "x", false},
      {"many blanks before a fault", "[" + std::string(1'000'000, '\t') + "]]", false},
      {"many blanks between strings", "[" + std::string(500'000, '\r') + "\"a\\\"\"" + std::string(500'000, '\n') + "]",
       true},
      {"closing brackets", std::string(1'000'000, ']'), false},
      {"quotes", std::string(1'000'000, '"'), false},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.name);
    const std::clock_t start = std::clock();
    const auto result = parse_json(row.text);
    EXPECT_LT(std::clock() - start, kCpuLimit);
    EXPECT_EQ(result.has_value(), row.good);
    if (!result.has_error()) continue;
    EXPECT_LT(result.error().message.size(), 300U) << result.error().message.substr(0, 400);
  }
}

TEST(ParseJson, LongBlankRuns_ChangeNeitherTextNorPlaces) {
  const std::string run(600, '\n');
  EXPECT_EQ(parse_json("[" + run + "\"a\\\"\\nb\"," + run + "\"c\"]")->dump(), R"(["a\"\nb","c"])");
  EXPECT_EQ(parse_json("[\"\\\\\"," + run + "\"\\\\\"]")->dump(), R"(["\\","\\"])");
  EXPECT_EQ(parse_json("[" + run + "  x]").error().message, "invalid JSON at line 601, column 3: invalid literal");
  EXPECT_EQ(parse_json(run + "[\"a\nb\"]").error().message.substr(0, 63),
            "invalid JSON at line 601, column 4: invalid string: control cha");
}

TEST(ParseJson, Message_IsValidUtf8AndOneLine) {
  const auto result = parse_json("{\"a\": \"\xE4\xB8\xff\n\x1b[31m\"}");
  ASSERT_TRUE(result.has_error());
  EXPECT_TRUE(json::accept(json(result.error().message).dump()));
  EXPECT_EQ(result.error().message.find('\n'), std::string::npos);
  EXPECT_EQ(result.error().message.find('\x1b'), std::string::npos);
}

// Agreement with the parser beneath over small texts, where NUL and depth play no part.
TEST(ParseJson, RandomText_AgreesWithTheReference) {
  constexpr std::string_view kPieces[] = {"{",      "}",    "[",    "]", ",",  ":",  "\"a\"", "\"\\u0041\"", "1",
                                          "-0.5e2", "true", "null", " ", "\"", "\\", "x",     "\"b\""};
  std::uint64_t state = 11;
  int accepted = 0;
  for (int round = 0; round < 100'000; ++round) {
    std::string text;
    state = state * 6364136223846793005U + 1442695040888963407U;
    const std::size_t length = 1 + (state >> 33) % 7;
    for (std::size_t i = 0; i < length; ++i) {
      state = state * 6364136223846793005U + 1442695040888963407U;
      text += kPieces[(state >> 33) % std::size(kPieces)];
    }
    const auto ours = parse_json(text);
    const json theirs = json::parse(text, nullptr, false);
    ASSERT_EQ(ours.has_value(), !theirs.is_discarded()) << text;
    if (!ours) continue;
    ++accepted;
    ASSERT_EQ(*ours, theirs) << text;
  }
  EXPECT_GT(accepted, 1000);
}

}  // namespace
}  // namespace svc
