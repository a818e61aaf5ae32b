// check_head: the fields that say where a message ends and whom it is for.
#include <gtest/gtest.h>

#include <string>

#include "common/core/header_rules.hpp"
#include "head_verdict.hpp"

namespace svc {
namespace {

using test::verdict;
using test::with_fields;
using test::with_host;

TEST(CheckHead, ContentLength_DigitsOnlyAndOnce) {
  struct Row {
    std::string value;
    std::string message;
  };
  const Row rows[] = {
      {"0", ""},
      {"12", ""},
      {" 12\t", ""},
      {"0012", ""},
      {"9223372036854775807", ""},
      {"9223372036854775808", "400 Content-Length is too large"},
      {"18446744073709551615", "400 Content-Length is too large"},
      {"18446744073709551616", "400 Content-Length is too large"},
      {"18446744073709551628", "400 Content-Length is too large"},
      {std::string(19, '9'), "400 Content-Length is too large"},
      {std::string(100, '0') + "5", "400 Content-Length is too large"},
      {std::string(8000, '9'), "400 Content-Length is too large"},
      {"", "400 Content-Length is empty"},
      {" \t ", "400 Content-Length is empty"},
      {"-2", "400 Content-Length must be digits only"},
      {"+5", "400 Content-Length must be digits only"},
      {"0x10", "400 Content-Length must be digits only"},
      {"5,5", "400 Content-Length must be digits only"},
      {"5, 5", "400 Content-Length must be digits only"},
      {"5;", "400 Content-Length must be digits only"},
      {"5 5", "400 Content-Length must be digits only"},
      {"1e3", "400 Content-Length must be digits only"},
      {"5.0", "400 Content-Length must be digits only"},
      {"\xef\xbc\x95", "400 Content-Length must be digits only"},
      {"abc", "400 Content-Length must be digits only"},
      {"NaN", "400 Content-Length must be digits only"},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.value.substr(0, 40));
    EXPECT_EQ(with_fields({{"Content-Length", row.value}}), row.message);
  }
  EXPECT_EQ(with_fields({{"Content-Length", "5"}, {"Content-Length", "5"}}), "400 Content-Length is given twice");
  EXPECT_EQ(with_fields({{"Content-Length", "5"}, {"content-LENGTH", "6"}}), "400 Content-Length is given twice");
  EXPECT_EQ(with_fields({{"Content-Length", "5"}, {"Content-Length", ""}}), "400 Content-Length is given twice");
  EXPECT_EQ(with_fields({{"Content-Length", ""}, {"Content-Length", "5"}}), "400 Content-Length is empty");
  EXPECT_EQ(with_fields({{"Content_Length", "5"}}), "400 header field 'Content_Length' is not allowed");
  EXPECT_EQ(with_fields({{"content_length", "5"}, {"Content-Length", "6"}}),
            "400 header field 'content_length' is not allowed");
}

TEST(CheckHead, TransferEncoding_ExactlyChunkedAndAlone) {
  const std::string only = "400 Transfer-Encoding must be exactly 'chunked'";
  struct Row {
    std::string value;
    std::string message;
  };
  const Row rows[] = {
      {"chunked", ""},
      {"CHUNKED", ""},
      {"\tchunked ", ""},
      {"", only},
      {"gzip", only},
      {"identity", only},
      {"xchunked", only},
      {"chunkedx", only},
      {"chunked, identity", only},
      {"identity, chunked", only},
      {"gzip, chunked", only},
      {"chunked, chunked", only},
      {"chunked,", only},
      {",chunked", only},
      {"chunked;q=1", only},
      {"\"chunked\"", only},
      {"'chunked'", only},
      {"chun ked", only},
      {"chunked\xa0", only},
      {"chunKed\xe2\x84\xaa", only},
      {std::string("\x0b") + "chunked", "400 the value of header field 'Transfer-Encoding' has a control character"},
      {std::string("chunked\0", 8), "400 the value of header field 'Transfer-Encoding' has a control character"},
      {"chunked\r", "400 the value of header field 'Transfer-Encoding' has a control character"},
      {"chunked\n", "400 the value of header field 'Transfer-Encoding' has a control character"},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.value);
    EXPECT_EQ(with_fields({{"Transfer-Encoding", row.value}}), row.message);
  }
  const std::string both = "400 Content-Length and Transfer-Encoding together are not allowed";
  EXPECT_EQ(with_fields({{"Transfer-Encoding", "chunked"}, {"Content-Length", "5"}}), both);
  EXPECT_EQ(with_fields({{"Content-Length", "0"}, {"Transfer-Encoding", "chunked"}}), both);
  EXPECT_EQ(with_fields({{"Transfer-Encoding", "chunked"}, {"transfer-encoding", "chunked"}}),
            "400 Transfer-Encoding is given twice");
  EXPECT_EQ(with_fields({{"Transfer-Encoding", "chunked"}, {"Transfer-Encoding", "identity"}}),
            "400 Transfer-Encoding is given twice");
  EXPECT_EQ(with_fields({{"Transfer_Encoding", "chunked"}}), "400 header field 'Transfer_Encoding' is not allowed");
  EXPECT_EQ(with_fields({{"Transfer-Encoding ", "chunked"}}), "400 a header field's name is not valid");
  EXPECT_EQ(with_fields({{" Transfer-Encoding", "chunked"}}), "400 a header field's name is not valid");
  EXPECT_EQ(verdict("POST", "/", 10, {{"Host", "a"}, {"Transfer-Encoding", "chunked"}}),
            "400 Transfer-Encoding is not allowed in HTTP/1.0");
}

TEST(CheckHead, Host_ExactlyOneAndStrict) {
  for (const char* host : {"localhost", "localhost:8081", "127.0.0.1:80", "[::1]", "[2001:db8::1]:8081", "a.b-c.d_e.",
                           " localhost ", "GPU-1"}) {
    EXPECT_EQ(with_host(host), "") << host;
  }
  for (const std::string& host : {std::string("a/b"),
                                  std::string("a?b"),
                                  std::string("a#b"),
                                  std::string("user@a"),
                                  std::string("a:b"),
                                  std::string("a:"),
                                  std::string("a:0"),
                                  std::string("a:65536"),
                                  std::string("a:-1"),
                                  std::string("a:80:80"),
                                  std::string(":80"),
                                  std::string("::1"),
                                  std::string("::1:80"),
                                  std::string("[::1"),
                                  std::string("::1]"),
                                  std::string("[]"),
                                  std::string("[::1]x"),
                                  std::string("[::1]:"),
                                  std::string("[::1]80"),
                                  std::string("[1.2.3.4]"),
                                  std::string("[fe80::1%25a]"),
                                  std::string("a b"),
                                  std::string("a,b"),
                                  std::string("a, a"),
                                  std::string("a\\b"),
                                  std::string("http://a"),
                                  std::string("a\tb"),
                                  std::string("a%2fb"),
                                  std::string("a..b"),
                                  std::string("-a"),
                                  std::string("*"),
                                  std::string("\xe9"),
                                  std::string("a\xe2\x80\xa8"),
                                  std::string("256.1.1.1"),
                                  std::string("2130706433"),
                                  std::string("0x7f.1"),
                                  std::string("localhost/?x=://b"),
                                  std::string(254, 'a')}) {
    EXPECT_EQ(with_host(host), "400 Host is not valid") << host;
  }
  EXPECT_EQ(with_host(""), "400 Host is empty");
  EXPECT_EQ(with_host("  "), "400 Host is empty");
  EXPECT_EQ(verdict("GET", "/", 11, {}), "400 Host is missing");
  EXPECT_EQ(verdict("GET", "/", 11, {{"X-Host", "a"}}), "400 Host is missing");
  EXPECT_EQ(verdict("GET", "/", 11, {{"Host", "a"}, {"Host", "a"}}), "400 Host is given twice");
  EXPECT_EQ(verdict("GET", "/", 11, {{"Host", "a"}, {"hOST", "b"}}), "400 Host is given twice");
  EXPECT_EQ(verdict("GET", "/", 10, {{"Host", "a"}, {"Host", "a"}}), "400 Host is given twice");
  EXPECT_EQ(verdict("GET", "/", 10, {{"Host", "a/b"}}), "400 Host is not valid");
}

}  // namespace
}  // namespace svc
