// read_request_head: everything that could be smuggling, or cost more than it should, is refused.
#include <gtest/gtest.h>

#include <string>

#include "head_reading.hpp"

namespace svc::router {
namespace {

using test::fate;
using test::with_host;
using test::with_lines;
using test::with_target;

constexpr const char* kNotHttp = "400 malformed request: the request line is not METHOD TARGET HTTP/1.1";

TEST(RequestHeadRefusals, ContentLength) {
  struct Row {
    std::string value, fate;
  };
  const std::string large = "400 Content-Length is too large";
  const std::string digits = "400 Content-Length must be digits only";
  const Row rows[] = {
      {"0", ""},
      {"9223372036854775807", ""},
      {"9223372036854775808", large},
      {"18446744073709551615", large},
      {"18446744073709551616", large},
      {"18446744073709551621", large},
      {std::string(30, '9'), large},
      {std::string(30, '0'), large},
      {"", "400 Content-Length is empty"},
      {" \t", "400 Content-Length is empty"},
      {"-2", digits},
      {"+5", digits},
      {"0x5", digits},
      {"5,5", digits},
      {"5 5", digits},
      {"5;", digits},
      {"\xef\xbc\x95", digits},
  };
  for (const Row& row : rows) EXPECT_EQ(with_lines("Content-Length:" + row.value + "\r\n"), row.fate) << row.value;
  EXPECT_EQ(with_lines("Content-Length: 5\r\nContent-length: 5\r\n"), "400 Content-Length is given twice");
  EXPECT_EQ(with_lines("Content-Length: 5\r\nContent-Length:\r\n"), "400 Content-Length is given twice");
  EXPECT_EQ(with_lines("Content-Length:\r\nContent-Length: 5\r\n"), "400 Content-Length is empty");
  EXPECT_EQ(with_lines("content_LENGTH: 5\r\n"), "400 header field 'content_LENGTH' is not allowed");
}

TEST(RequestHeadRefusals, TransferEncoding) {
  const std::string only = "400 Transfer-Encoding must be exactly 'chunked'";
  EXPECT_EQ(with_lines("Transfer-Encoding: chunked\r\n"), "");
  EXPECT_EQ(with_lines("transfer-encoding:\tCHUNKED \r\n"), "");
  for (const std::string value :
       {"", "gzip", "identity", "xchunked", "chunkedx", "chunked,", ",chunked", "chunked, identity", "gzip, chunked",
        "chunked, chunked", "\"chunked\"", "chunked;a=b", "chunked\x0b",
        "\xa0"
        "chunked"}) {
    const std::string got = with_lines("Transfer-Encoding: " + value + "\r\n");
    if (value.find('\x0b') == std::string::npos) {
      EXPECT_EQ(got, only) << value;
    } else {
      EXPECT_EQ(got, "400 the value of header field 'Transfer-Encoding' has a control character");
    }
  }
  EXPECT_EQ(with_lines("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
            "400 Transfer-Encoding is given twice");
  EXPECT_EQ(with_lines("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"),
            "400 Content-Length and Transfer-Encoding together are not allowed");
  EXPECT_EQ(with_lines("Content-Length: 0\r\nTransfer-Encoding: chunked\r\n"),
            "400 Content-Length and Transfer-Encoding together are not allowed");
  EXPECT_EQ(with_lines("Transfer_Encoding: chunked\r\n"), "400 header field 'Transfer_Encoding' is not allowed");
  EXPECT_EQ(with_lines("Transfer-Encoding : chunked\r\n"), "400 a header field's name is not valid");
  EXPECT_EQ(fate("POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"),
            "400 Transfer-Encoding is not allowed in HTTP/1.0");
}

TEST(RequestHeadRefusals, Host) {
  for (const std::string good :
       {"a", "a:80", "A.example.", "127.0.0.1:8000", "[::1]", "[::1]:80", "a_b", "localhost:65535"}) {
    EXPECT_EQ(with_host(good), "") << good;
  }
  EXPECT_EQ(with_host(""), "400 Host is empty");
  EXPECT_EQ(with_host(" \t"), "400 Host is empty");
  for (const std::string bad : {"localhost/v1/models?",
                                "localhost/v1/models",
                                "a?b",
                                "a#b",
                                "u@a",
                                "u:p@a",
                                "a:",
                                "a:0",
                                "a:65536",
                                "a:80x",
                                "a:-1",
                                "a:+80",
                                ":80",
                                "a:80:90",
                                "a b",
                                "a,b",
                                "http://a",
                                "[::1",
                                "::1",
                                "[::1]x",
                                "[]",
                                "[a]",
                                "a..b",
                                "-a",
                                "256.1.1.1",
                                "0x7f.1",
                                "1.2.3",
                                "a%00",
                                "a\\b",
                                "\xc3\xa4",
                                "*",
                                "[::1]:",
                                "a\"",
                                "a;b"}) {
    EXPECT_EQ(with_host(bad), "400 Host is not valid") << bad;
  }
  EXPECT_EQ(with_lines("Host: a:80\r\n"), "400 Host is given twice");
  EXPECT_EQ(with_lines("host:\r\n"), "400 Host is given twice");
  EXPECT_EQ(fate("GET / HTTP/1.1\r\n\r\n"), "400 Host is missing");
  EXPECT_EQ(fate("GET / HTTP/1.1\r\nX-Host: a\r\n\r\n"), "400 Host is missing");
  EXPECT_EQ(fate("GET / HTTP/1.0\r\n\r\n"), "");
}

TEST(RequestHeadRefusals, FieldSyntax) {
  struct Row {
    std::string lines, fate;
  };
  const std::string name = "400 a header field's name is not valid";
  const std::string lf = "400 a line of the header ends in a bare LF";
  const std::string cr = "400 a line of the header has a bare CR";
  const std::string control = "400 the value of header field 'A' has a control character";
  using namespace std::string_literals;
  const Row rows[] = {
      {": x\r\n", "400 a header field has no name"},
      {":\r\n", "400 a header field has no name"},
      {"A : x\r\n", name},
      {"A\t: x\r\n", name},
      {"A\r\n", name},
      {"A B: x\r\n", name},
      {"A\x80: x\r\n", name},
      {"A\0: x\r\n"s, name},
      {"(A): x\r\n", name},
      {"A\n: x\r\n", lf},
      {"A: x\n", lf},
      {"A: x\nB: y\r\n", lf},
      {"A: x\r\n\n", lf},
      {"A: x\ry\r\n", cr},
      {"A: \rB: y\r\n", cr},
      {"A: x\r\r\n", cr},
      {"\rA: x\r\n", cr},
      {"A: x\0y\r\n"s, control},
      {"A: x\x7f\r\n", control},
      {"A: x\x01\r\n", control},
      {"A: x\x1f"
       "0123456789abcdef\r\n",
       control},
      {"A: x\x0b\r\n", control},
      {" A: x\r\n", "400 header lines must not be folded"},
      {"A: x\r\n y\r\n", "400 header lines must not be folded"},
      {"A: x\r\n\ty\r\n", "400 header lines must not be folded"},
      {"A: x\r\n \r\n", "400 header lines must not be folded"},
      {"A:\r\n", ""},
      {"A: \t x\ty \r\n", ""},
      {"A: \x80\xff\xc3\xa4 0123456789abcdef\r\n", ""},
      {"!#$%&'*+-.^_`|~09azAZ: x\r\n", ""},
  };
  for (const Row& row : rows) EXPECT_EQ(with_lines(row.lines), row.fate) << row.lines;
}

TEST(RequestHeadRefusals, FoldedFirstLine) {
  EXPECT_EQ(fate("GET / HTTP/1.1\r\n Host: a\r\n\r\n"), "400 header lines must not be folded");
}

TEST(RequestHeadRefusals, Targets) {
  using namespace std::string_literals;
  const std::string character = "400 the request target has a character that is not allowed";
  for (const std::string& bad : {"/a#b"s, "/#"s, "/\x80"s, "/\xff"s, "/a\tb"s, "/a\0b"s, "/\x7f"s, "/\x01"s,
                                 "/0123456789abcdef0123456789\x80"s}) {
    EXPECT_EQ(with_target(bad), character) << bad;
  }
  EXPECT_EQ(with_target("/a b"), kNotHttp);
  EXPECT_EQ(with_target(""), kNotHttp);
  for (const std::string good : {"/", "//", "/..;/", "/%2e%2e/", "/a?b?c", "/a\\b", "/[x]", "/a%00"}) {
    EXPECT_EQ(with_target(good), "") << good;
  }
  EXPECT_EQ(fate("CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n"), "400 CONNECT is not supported");
  EXPECT_EQ(with_target("/" + std::string(8191, 'x')), "");
  EXPECT_EQ(with_target("/" + std::string(8192, 'x')), "414 the request target is longer than 8192 bytes");
  EXPECT_EQ(with_target("/" + std::string(100'000, 'x')), "414 the request target is longer than 8192 bytes");
}

TEST(RequestHeadRefusals, RequestLines) {
  struct Row {
    std::string line, fate;
  };
  const std::string version = "505 only HTTP/1.0 and HTTP/1.1 are spoken here";
  const Row rows[] = {
      {"GET /", kNotHttp},  // HTTP/0.9
      {"GET / HTTP/0.9", version},
      {"GET / HTTP/9.9", version},
      {"GET / HTTP/1.2", version},
      {"GET / HTTP/2.0", version},
      {"GET / http/1.1", kNotHttp},
      {"GET / HTTP/1.10", kNotHttp},
      {"GET / HTTP/11", kNotHttp},
      {"GET / HTTP/1.1 ", kNotHttp},
      {"GET /  HTTP/1.1", kNotHttp},
      {"GET  / HTTP/1.1", kNotHttp},
      {" GET / HTTP/1.1", kNotHttp},
      {"GET\t/ HTTP/1.1", kNotHttp},
      {"G(T / HTTP/1.1", kNotHttp},
      {"GET / HTTP/1.1\r", kNotHttp},
      {"PRI * HTTP/2.0", "400 HTTP/2 is not spoken here"},
      {std::string(65, 'A') + " / HTTP/1.1", "400 the method is not valid"},
      {std::string(64, 'A') + " / HTTP/1.1", ""},
  };
  for (const Row& row : rows) EXPECT_EQ(fate(row.line + "\r\nHost: a\r\n\r\n"), row.fate) << row.line;
  EXPECT_EQ(fate("GET / HTTP/1.1\nHost: a\r\n\r\n"), "400 a line of the header ends in a bare LF");
  EXPECT_EQ(fate("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), "400 HTTP/2 is not spoken here");
  EXPECT_EQ(fate(std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11)), kNotHttp);
  EXPECT_EQ(fate(std::string("\x80\x2e\x01", 3)), kNotHttp);  // SSL 2.0
}

}  // namespace
}  // namespace svc::router
