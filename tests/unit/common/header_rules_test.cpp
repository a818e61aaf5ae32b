#include "common/core/header_rules.hpp"

#include <gtest/gtest.h>

#include <ctime>
#include <string>

#include "head_verdict.hpp"

namespace svc {
namespace {

using test::Fields;
using test::verdict;
using test::with_fields;
using test::with_target;

TEST(CheckHead, OrdinaryRequests_Pass) {
  EXPECT_EQ(verdict("GET", "/services?healthy=true&x=%2F", 11, {{"Host", "registry.example:8081"}, {"Accept", "*/*"}}),
            "");
  EXPECT_EQ(
      verdict("POST", "/services", 11, {{"host", "[::1]:80"}, {"content-length", "12"}, {"Expect", "100-continue"}}),
      "");
  EXPECT_EQ(verdict("POST", "/x", 11, {{"HOST", "a"}, {"Transfer-Encoding", "Chunked"}}), "");
  EXPECT_EQ(verdict("GET", "/", 10, {}), "");
  EXPECT_EQ(verdict("GET", "/", 10, {{"Host", "a"}, {"Connection", "keep-alive"}}), "");
  EXPECT_EQ(verdict("OPTIONS", "*", 11, {{"Host", "a"}}), "");
  EXPECT_EQ(verdict("PURGE!#$%&'*+-.^_`|~09az", "/", 11, {{"Host", "a"}}), "");
  EXPECT_EQ(with_fields({{"X-Empty", ""}, {"X-Tab", "a\tb"}, {"X-Latin", "\xe9"}, {"X_Under", "fine"}}), "");
}

// CVE-2021-40346, -2023-40225, CVE-2026-45352, style row 4: framing that two readers could understand differently.
// CVE-2026-48746, -48710: a Host that a URL parser would read as something else. Scorecard row 8.
// CVE-2023-25725 (empty name), CVE-2023-38522 (name characters), CVE-2019-9900 (NUL in a value).
TEST(CheckHead, FieldSyntax_IsStrict) {
  EXPECT_EQ(with_fields({{"", "x"}}), "400 a header field has no name");
  for (const std::string& name :
       {std::string("a b"), std::string("a:"), std::string("a\tb"), std::string("a\0b", 3), std::string("a\x7f"),
        std::string("\xc3\xa9"), std::string("a(b)"), std::string("a,b"), std::string("a/b"), std::string("\"a\""),
        std::string("a;"), std::string("a="), std::string("@"), std::string("a\r\nX"), std::string("{a}"),
        std::string("[a]"), std::string("\\")}) {
    EXPECT_EQ(with_fields({{name, "x"}}), "400 a header field's name is not valid") << name;
  }
  for (int byte = 0; byte < 256; ++byte) {
    const std::string value = std::string("a") + static_cast<char>(static_cast<unsigned char>(byte)) + "b";
    const bool bad = (byte < 0x20 && byte != '\t') || byte == 0x7f;
    EXPECT_EQ(with_fields({{"X-Y", value}}), bad ? "400 the value of header field 'X-Y' has a control character" : "")
        << byte;
  }
}

// CVE-2023-45539: '#' in the target.
TEST(CheckHead, Target_IsOriginFormOnly) {
  for (const char* target :
       {"/", "/services/a%20b?x=1", "/..;/x", "//x", "/%2e%2e/", "/a?b?c", "/a:b@c!$&'()*+,;=", "/a\"<>\\^`{|}"}) {
    EXPECT_EQ(with_target(target), "") << target;
  }
  for (int byte = 0; byte < 256; ++byte) {
    const std::string target = std::string("/a") + static_cast<char>(static_cast<unsigned char>(byte)) + "b";
    const bool bad = byte <= 0x20 || byte >= 0x7f || byte == '#';
    EXPECT_EQ(with_target(target), bad ? "400 the request target has a character that is not allowed" : "") << byte;
  }
  for (const char* target : {"services", "http://a/", "a:80", "?x", "*", "*/", ".", "\\x"}) {
    EXPECT_EQ(with_target(target), "400 the request target must start with '/'") << target;
  }
  EXPECT_EQ(with_target("*x", "OPTIONS"), "400 the request target must start with '/'");
  EXPECT_EQ(with_target(""), "400 the request target is empty");
}

TEST(CheckHead, MethodAndVersion_AreChecked) {
  for (const std::string& method : {std::string(), std::string("GE T"), std::string("GET\t"), std::string("G\0T", 3),
                                    std::string("\xc3\x89"), std::string("GET:"), std::string("(")}) {
    EXPECT_EQ(with_target("/", method), "400 the method is not valid") << method;
  }
  EXPECT_EQ(with_target("a:443", "CONNECT"), "400 CONNECT is not supported");
  EXPECT_EQ(with_target("/", "CONNECT"), "400 CONNECT is not supported");
  EXPECT_EQ(with_target("/", "connect"), "");
  for (const int version : {0, 9, 12, 19, 20, 30, -1, 110}) {
    EXPECT_EQ(verdict("GET", "/", version, {{"Host", "a"}}), "505 only HTTP/1.0 and HTTP/1.1 are spoken here")
        << version;
  }
}

// Reliability statement P14: each limit at the limit and one beyond.
TEST(CheckHead, Limits_HoldAtTheLimitAndOneBeyond) {
  Fields fields{{"Host", "a"}};
  while (fields.size() < 100) fields.push_back({"a", "b"});
  EXPECT_EQ(verdict("GET", "/", 11, fields), "");
  fields.push_back({"a", "b"});
  EXPECT_EQ(verdict("GET", "/", 11, fields), "431 the request has more than 100 header fields");

  EXPECT_EQ(with_target("/" + std::string(8191, 'x')), "");
  EXPECT_EQ(with_target("/" + std::string(8192, 'x')), "414 the request target is longer than 8192 bytes");

  EXPECT_EQ(with_fields({{"x", std::string(8191, 'v')}}), "");
  EXPECT_EQ(with_fields({{"x", std::string(8192, 'v')}}), "431 a header field is longer than 8192 bytes");
  EXPECT_EQ(with_fields({{std::string(8193, 'n'), ""}}), "431 a header field is longer than 8192 bytes");

  const std::size_t total = 32 * 1024 - 5;  // "Host" + "a"
  Fields exact{{"Host", "a"}};
  for (int i = 0; i < 5; ++i) exact.push_back({"x", std::string(total / 5 - 1, 'v')});
  exact.back().second += std::string(total % 5, 'v');
  EXPECT_EQ(verdict("GET", "/", 11, exact), "");
  exact.back().second += 'v';
  EXPECT_EQ(verdict("GET", "/", 11, exact), "431 the header is longer than 32768 bytes");

  const HeadLimits small{.max_fields = 1, .max_field_bytes = 10, .max_target_bytes = 4, .max_total_bytes = 8};
  EXPECT_EQ(verdict("GET", "/abc", 11, {{"Host", "a"}}, small), "");
  EXPECT_EQ(verdict("GET", "/abcd", 11, {{"Host", "a"}}, small), "414 the request target is longer than 4 bytes");
  EXPECT_EQ(verdict("GET", "/", 11, {{"Host", "abcde"}}, small), "431 the header is longer than 8 bytes");
}

// CVE-2021-40346: lengths around the wrap of 8 and 16 bits.
TEST(CheckHead, NameLengthsAroundWraps_AreNotCut) {
  HeadLimits wide;
  wide.max_field_bytes = 1 << 20;
  wide.max_total_bytes = 1 << 20;
  for (const std::size_t size : {255U, 256U, 257U, 65535U, 65536U, 65537U}) {
    SCOPED_TRACE(size);
    const std::string name = "Content-Length" + std::string(size - 14, 'a');
    EXPECT_EQ(verdict("GET", "/", 11, {{"Host", "a"}, {name, "0"}, {"Content-Length", "5"}}, wide), "");
    EXPECT_EQ(verdict("GET", "/", 11, {{"Host", "a"}, {"X", std::string(size, 'v')}}, wide), "");
    EXPECT_EQ(verdict("GET", "/", 11, {{"Host", "a"}, {std::string(size, ' '), "v"}}, wide),
              "400 a header field's name is not valid");
  }
}

// CVE-2019-15226: many small fields must not cost their square.
TEST(CheckHead, TenThousandFields_AreRefusedAtOnce) {
  Fields fields{{"Host", "a"}};
  while (fields.size() < 10'000) fields.push_back({"x", "y"});
  const std::clock_t start = std::clock();
  EXPECT_EQ(verdict("GET", "/", 11, fields), "431 the request has more than 100 header fields");
  HeadLimits wide;
  wide.max_fields = 100'000;
  EXPECT_EQ(verdict("GET", "/", 11, fields, wide), "");
  EXPECT_LT(std::clock() - start, 20 * CLOCKS_PER_SEC);
}

TEST(CheckHead, MessageOfLongName_IsShort) {
  const std::string message = with_fields({{std::string(8000, 'n'), "a\x01"}});
  EXPECT_EQ(message, "400 the value of header field '" + std::string(64, 'n') + "' has a control character");
}

TEST(IsToken, EveryByte_IsJudgedAsTheRfcSays) {
  const std::string punctuation = "!#$%&'*+-.^_`|~";
  for (int byte = 0; byte < 256; ++byte) {
    const char c = static_cast<char>(static_cast<unsigned char>(byte));
    const bool alnum = (byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z');
    EXPECT_EQ(is_token(std::string(1, c)), alnum || punctuation.find(c) != std::string::npos) << byte;
  }
  EXPECT_FALSE(is_token(""));
}

TEST(EqualIgnoringCase, OnlyAsciiLetters_Fold) {
  EXPECT_TRUE(equal_ignoring_case("Content-LENGTH", "content-length"));
  EXPECT_FALSE(equal_ignoring_case("a", "ab"));
  EXPECT_FALSE(equal_ignoring_case("[", "{"));
  EXPECT_FALSE(equal_ignoring_case("k", "\xe2\x84\xaa"));
  EXPECT_FALSE(equal_ignoring_case("\xc9", "\xe9"));
}

TEST(TrimBlanks, SpaceAndTabOnly_AreRemoved) {
  EXPECT_EQ(trim_blanks(" \ta b\t "), "a b");
  EXPECT_EQ(trim_blanks(" \t"), "");
  EXPECT_EQ(trim_blanks("\v a\n"), "\v a\n");
}

}  // namespace
}  // namespace svc
