#include "common/core/http_url.hpp"

#include <gtest/gtest.h>

#include <string>

namespace svc {
namespace {

TEST(ParseHttpUrl, GoodText_GivesItsParts) {
  struct Row {
    std::string text;
    HttpUrl url;
    std::string target;
    std::string printed;
  };
  const Row rows[] = {
      {"http://localhost:8081", {false, {"localhost", 8081}, "", ""}, "/", "http://localhost:8081"},
      {"http://a", {false, {"a", 80}, "", ""}, "/", "http://a"},
      {"https://a", {true, {"a", 443}, "", ""}, "/", "https://a"},
      {"https://a:80/x", {true, {"a", 80}, "/x", ""}, "/x", "https://a:80/x"},
      {"HTTP://a:80/", {false, {"a", 80}, "/", ""}, "/", "http://a/"},
      {"http://10.0.0.1:9/v1/models/",
       {false, {"10.0.0.1", 9}, "/v1/models/", ""},
       "/v1/models/",
       "http://10.0.0.1:9/v1/models/"},
      {"http://[::1]:8080/h?a=1&b=%20",
       {false, {"::1", 8080}, "/h", "a=1&b=%20"},
       "/h?a=1&b=%20",
       "http://[::1]:8080/h?a=1&b=%20"},
      {"http://[2001:db8::1]/", {false, {"2001:db8::1", 80}, "/", ""}, "/", "http://[2001:db8::1]/"},
      {"http://a?q=1", {false, {"a", 80}, "", "q=1"}, "/?q=1", "http://a?q=1"},
      {"http://a/b%2Fc", {false, {"a", 80}, "/b%2Fc", ""}, "/b%2Fc", "http://a/b%2Fc"},
      {"http://a/?", {false, {"a", 80}, "/", ""}, "/", "http://a/"},
      {"http://a//b", {false, {"a", 80}, "//b", ""}, "//b", "http://a//b"},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.text);
    const auto result = parse_http_url(row.text);
    ASSERT_TRUE(result.has_value()) << result.error().message;
    EXPECT_EQ(*result, row.url);
    EXPECT_EQ(result->target(), row.target);
    EXPECT_EQ(result->to_string(), row.printed);
    EXPECT_EQ(*parse_http_url(row.printed), row.url);
  }
}

TEST(ParseHttpUrl, BadText_SaysWhy) {
  struct Row {
    std::string text;
    std::string why;
  };
  const Row rows[] = {
      {"", "it does not parse"},
      {"localhost:8081", "the scheme must be http or https"},
      {"localhost", "it does not parse"},
      {"/services", "it does not parse"},
      {"//a/b", "it does not parse"},
      {"ftp://a/", "the scheme must be http or https"},
      {"file:///etc/passwd", "the scheme must be http or https"},
      {"gopher://a:70/_x", "the scheme must be http or https"},
      {"httpx://a", "the scheme must be http or https"},
      {"http:a", "the host is missing"},
      {"http:/a", "the host is missing"},
      {"http:///a", "the host is missing"},
      {"http://", "the host is missing"},
      {"http://:80/", "the host is missing"},
      {"http://user@a/", "it must not carry a user name or password"},
      {"http://user:pass@a/", "it must not carry a user name or password"},
      {"http://a@169.254.169.254/", "it must not carry a user name or password"},
      {"http://@a/", "it must not carry a user name or password"},
      {"http://a/#x", "it must not have a fragment ('#')"},
      {"http://a#", "it must not have a fragment ('#')"},
      {"http://a:0/", "the port must be a number from 1 to 65535"},
      {"http://a:65536/", "the port must be a number from 1 to 65535"},
      {"http://a:/", "the port must be a number from 1 to 65535"},
      {"http://a:99999999999999999999/", "the port must be a number from 1 to 65535"},
      {"http://a:8x/", "it does not parse"},
      {"http://a:80x", "it does not parse"},
      {"http://a:80@b/", "it must not carry a user name or password"},
      {"http://[::1]x/", "it does not parse"},
      {"http://[::1]80/", "it does not parse"},
      {"http://2130706433/", "the host is not valid"},
      {"http://0x7f.1/", "the host is not valid"},
      {"http://0177.0.0.1/", "the host is not valid"},
      {"http://127.1/", "the host is not valid"},
      {"http://a%2eb/", "the host is not valid"},
      {"http://%6c%6f/", "the host is not valid"},
      {"http://[v1.a]/", "the host is not valid"},
      {"http://a,b/", "the host is not valid"},
      {"http://-a/", "the host is not valid"},
      {"http://a b/", "it does not parse"},
      {"http://a/b c", "it does not parse"},
      {"http://a\\@b/", "it does not parse"},
      {"http://a/%zz", "it does not parse"},
      {"http://a/\r\nX: y", "it does not parse"},
      {" http://a/", "it does not parse"},
      {"http://ä/", "it does not parse"},
      {"http://a/ä", "it does not parse"},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.text);
    const auto result = parse_http_url(row.text);
    ASSERT_TRUE(result.has_error()) << result->to_string();
    EXPECT_EQ(result.error().message, "'" + row.text + "' is not an http or https URL: " + row.why);
    EXPECT_EQ(result.error().code, Errc::invalid_argument);
  }
}

// Whether it parses depends on the version of the library.
TEST(ParseHttpUrl, ZoneOfAnAddress_IsRefused) {
  const auto result = parse_http_url("http://[fe80::1%25eth0]/");
  ASSERT_TRUE(result.has_error()) << result->to_string();
  EXPECT_EQ(result.error().code, Errc::invalid_argument);
}

TEST(ParseHttpUrl, NulByte_IsRefused) {
  EXPECT_TRUE(parse_http_url(std::string("http://a\0b/", 11)).has_error());
  EXPECT_TRUE(parse_http_url(std::string("http://a/\0", 10)).has_error());
}

TEST(ParseHttpUrl, Length_IsBounded) {
  const std::string head = "http://a/";
  EXPECT_TRUE(parse_http_url(head + std::string(8192 - head.size(), 'x')).has_value());
  const auto result = parse_http_url(head + std::string(8193 - head.size(), 'x'));
  ASSERT_TRUE(result.has_error());
  EXPECT_NE(result.error().message.find("longer than 8192 bytes"), std::string::npos);
  EXPECT_LT(result.error().message.size(), 500U);
}

TEST(HttpUrl, HostField_HasPortOnlyWhenUnusual) {
  EXPECT_EQ(parse_http_url("http://a:80/")->host_field(), "a");
  EXPECT_EQ(parse_http_url("http://a:443/")->host_field(), "a:443");
  EXPECT_EQ(parse_http_url("https://[::1]/")->host_field(), "[::1]");
  EXPECT_EQ(parse_http_url("https://[::1]:8443/")->host_field(), "[::1]:8443");
}

}  // namespace
}  // namespace svc
