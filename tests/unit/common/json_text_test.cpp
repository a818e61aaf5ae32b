#include "common/core/json_text.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>

namespace svc {
namespace {

std::string escaped(std::string_view text) {
  std::string out;
  append_json_string(out, text);
  return out;
}

std::string printed(double value) {
  std::string out;
  append_json_double(out, value);
  return out;
}

TEST(AppendJsonString, Text_IsEscaped) {
  struct Row {
    std::string text;
    std::string json;
  };
  const Row rows[] = {
      {"", R"("")"},
      {"plain", R"("plain")"},
      {"a\"b\\c/d", R"("a\"b\\c/d")"},
      {"\b\f\n\r\t", R"("\b\f\n\r\t")"},
      {std::string("\0\x01\x1f", 3), R"("\u0000\u0001\u001f")"},
      {"\x7f", R"("\u007f")"},
      {"</script>", R"("</script>")"},
      {"é中😀", "\"é中😀\""},
      {"\xC2\x80\xF4\x8F\xBF\xBF", "\"\xC2\x80\xF4\x8F\xBF\xBF\""},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.json);
    EXPECT_EQ(escaped(row.text), row.json);
    EXPECT_EQ(nlohmann::json::parse(escaped(row.text)).get<std::string>(), row.text);
  }
}

TEST(AppendJsonString, InvalidUtf8_BecomesReplacementCharacters) {
  const std::string r = "\xEF\xBF\xBD";
  struct Row {
    std::string text;
    std::string inside;
  };
  const Row rows[] = {
      {"\xff", r},                          // never a byte of UTF-8
      {"a\x80z", "a" + r + "z"},            // continuation without a start
      {"\xC3", r},                          // cut
      {"\xC3(", r + "("},                   // start without continuation
      {"\xC0\xAF", r + r},                  // overlong '/'
      {"\xE0\x80\xAF", r + r + r},          // overlong, three bytes
      {"\xED\xA0\x80", r + r + r},          // surrogate
      {"\xF4\x90\x80\x80", r + r + r + r},  // beyond U+10FFFF
      {"\xF0\x80\x80\x80", r + r + r + r},  // overlong, four bytes
      {"\xF0\x9F\x98", r + r + r},          // cut, four bytes
      {"\xE4\xB8\"", r + r + "\\\""},       // cut before a quote: the quote must still be escaped
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.inside);
    EXPECT_EQ(escaped(row.text), "\"" + row.inside + "\"");
    EXPECT_TRUE(nlohmann::json::accept(escaped(row.text)));
  }
}

TEST(AppendJsonString, RandomBytes_AlwaysGiveValidJson) {
  std::uint64_t state = 3;
  for (int round = 0; round < 20'000; ++round) {
    std::string text;
    for (int i = 0; i < 12; ++i) {
      state = state * 6364136223846793005U + 1442695040888963407U;
      text += static_cast<char>(static_cast<unsigned char>(state >> 56));
    }
    const std::string out = escaped(text);
    ASSERT_TRUE(nlohmann::json::accept(out));
    ASSERT_EQ(nlohmann::json::parse(out).get<std::string>(), valid_utf8(text));
  }
}

TEST(AppendJsonDouble, Numbers_ReadBackExactly) {
  struct Row {
    double value;
    std::string text;
  };
  const Row rows[] = {
      {0.0, "0.0"},     {-0.0, "-0.0"},    {1.0, "1.0"},       {-2.5, "-2.5"},
      {0.1, "0.1"},     {1e300, "1e+300"}, {5e-324, "5e-324"}, {1795435200.123456, "1795435200.123456"},
      {120.0, "120.0"},
  };
  for (const Row& row : rows) {
    EXPECT_EQ(printed(row.value), row.text);
    EXPECT_EQ(nlohmann::json::parse(row.text).get<double>(), row.value);
  }
}

TEST(AppendJsonDouble, NotANumber_IsNull) {
  EXPECT_EQ(printed(std::nan("")), "null");
  EXPECT_EQ(printed(std::numeric_limits<double>::infinity()), "null");
  EXPECT_EQ(printed(-std::numeric_limits<double>::infinity()), "null");
}

TEST(AppendJsonInt, Extremes_ArePrinted) {
  std::string out;
  append_json_int(out, std::numeric_limits<std::int64_t>::min());
  out += ' ';
  append_json_int(out, std::numeric_limits<std::uint64_t>::max());
  out += ' ';
  append_json_int(out, std::uint16_t{8081});
  EXPECT_EQ(out, "-9223372036854775808 18446744073709551615 8081");
}

TEST(AppendJsonBool, Values_ArePrinted) {
  std::string out;
  append_json_bool(out, true);
  append_json_bool(out, false);
  EXPECT_EQ(out, "truefalse");
}

TEST(ValidUtf8, OnlyBadBytes_AreReplaced) {
  EXPECT_EQ(valid_utf8("a\"\n中"), "a\"\n中");
  EXPECT_EQ(valid_utf8("a\xff"), "a\xEF\xBF\xBD");
}

}  // namespace
}  // namespace svc
