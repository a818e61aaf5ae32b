#include "common/core/percent_codec.hpp"

#include <gtest/gtest.h>

#include <string>

namespace svc {
namespace {

TEST(PercentDecode, GoodText_IsDecodedOnce) {
  struct Row {
    std::string text;
    std::string value;
  };
  const Row rows[] = {
      {"", ""},         {"abc", "abc"},       {"a%20b", "a b"},
      {"a%2Fb", "a/b"}, {"a%2fb", "a/b"},     {"a+b", "a+b"},
      {"%2525", "%25"}, {"%41%42", "AB"},     {"%E4%B8%AD", "\xE4\xB8\xAD"},
      {"%ff", "\xff"},  {"..%2f..", "../.."}, {"%0a", "\n"},
      {"\xE4", "\xE4"},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.text);
    EXPECT_EQ(percent_decode(row.text), row.value);
  }
}

TEST(PercentDecode, BadText_IsRefused) {
  for (const std::string& text :
       {std::string("%"), std::string("%4"), std::string("a%"), std::string("a%2"), std::string("%zz"),
        std::string("%4g"), std::string("%g4"), std::string("% 4"), std::string("%-1"), std::string("%+1"),
        std::string("%%41"), std::string("%0x41").substr(0, 3), std::string("%00"), std::string("a%00b"),
        std::string("a\0b", 3), std::string("a\nb"), std::string("\x7f"), std::string("%u0041")}) {
    EXPECT_EQ(percent_decode(text), std::nullopt) << text;
  }
}

TEST(PercentEncode, OnlyUnreserved_Stays) {
  EXPECT_EQ(percent_encode("AZaz09-._~"), "AZaz09-._~");
  EXPECT_EQ(percent_encode("a/b c+d%?#&="), "a%2Fb%20c%2Bd%25%3F%23%26%3D");
  EXPECT_EQ(percent_encode(std::string("\0\xff\r\n", 4)), "%00%FF%0D%0A");
  EXPECT_EQ(percent_encode("中"), "%E4%B8%AD");
}

TEST(PercentCodec, EveryByteButNul_SurvivesTheRoundTrip) {
  std::string all;
  for (int byte = 1; byte < 256; ++byte) all += static_cast<char>(static_cast<unsigned char>(byte));
  EXPECT_EQ(percent_decode(percent_encode(all)), all);
}

}  // namespace
}  // namespace svc
