// read_request_head: sizes and counts at their limits.
#include <gtest/gtest.h>

#include <string>

#include "head_reading.hpp"

namespace svc::router {
namespace {

using test::fate;
using test::with_lines;

// A length kept in one or two bytes would wrap here (CVE-2021-40346).
TEST(RequestHeadRefusals, SizesAroundPowersOfTwo) {
  for (const std::size_t size : {255U, 256U, 257U}) {
    RequestHead head;
    const std::string name(size, 'n');
    const std::string value(size, 'v');
    const std::string text = "GET / HTTP/1.1\r\nHost: a\r\n" + name + ": " + value + "\r\n\r\n";
    ASSERT_EQ(fate(text, head), "");
    EXPECT_EQ(head.field(name), value);
  }
  RequestHeadLimits wide;
  wide.head_bytes = 1 << 20;
  for (const std::size_t size : {65535U, 65536U, 65537U}) {
    const std::string long_text(size, 'x');
    EXPECT_EQ(with_lines(long_text + ": v\r\n").substr(0, 3), "431");
    EXPECT_EQ(with_lines("n: " + long_text + "\r\n").substr(0, 3), "431");
    EXPECT_EQ(with_lines("n: " + long_text).substr(0, 3), "431");
    const std::string start = "GET / HTTP/1.1\r\nHost: a\r\n";
    EXPECT_EQ(fate(start + long_text + ": v\r\n\r\n", wide), "431 a header field is longer than 8192 bytes");
    EXPECT_EQ(fate(start + "n: " + long_text + "\r\n\r\n", wide), "431 a header field is longer than 8192 bytes");
  }
}

TEST(RequestHeadRefusals, LimitsAtTheEdge) {
  EXPECT_EQ(with_lines("n:" + std::string(8191, 'v') + "\r\n"), "");
  EXPECT_EQ(with_lines("n:" + std::string(8192, 'v') + "\r\n"), "431 a header field is longer than 8192 bytes");
  const auto many = [](int count) {
    std::string lines;
    for (int i = 0; i < count; ++i) lines += "a: b\r\n";
    return with_lines(lines);
  };
  EXPECT_EQ(many(99), "");  // and Host
  EXPECT_EQ(many(100), "431 the request has more than 100 header fields");

  const std::string head = "GET / HTTP/1.1\r\nHost: a\r\nx: yy\r\n\r\n";
  RequestHeadLimits limits;
  limits.head_bytes = head.size();
  EXPECT_EQ(fate(head, limits), "");
  EXPECT_EQ(fate(head.substr(0, head.size() - 1), limits), "incomplete");
  limits.head_bytes = head.size() - 1;
  EXPECT_EQ(fate(head, limits), "431 the request head is larger than " + std::to_string(head.size() - 1) + " bytes");
  EXPECT_EQ(fate(head.substr(0, head.size() - 1), limits).substr(0, 3), "431");
  limits = {};
  limits.fields.max_total_bytes = 8;
  EXPECT_EQ(fate(head, limits), "");
  limits.fields.max_total_bytes = 7;
  EXPECT_EQ(fate(head, limits), "431 the header is longer than 7 bytes");
  limits = {};
  limits.fields.max_fields = 10'000;  // the storage is the limit
  std::string lines = "GET / HTTP/1.1\r\nHost: a\r\n";
  for (int i = 0; i < 128; ++i) lines += "a: b\r\n";
  EXPECT_EQ(fate(lines + "\r\n", limits), "431 the request has more than 128 header fields");
}

// CVE-2019-15226: the time for many small fields must not grow with their square. They are refused at the 101st, so
// that the rest is not even looked at; arriving in pieces changes nothing.
TEST(RequestHeadRefusals, TenThousandFields) {
  std::string text = "GET / HTTP/1.1\r\nHost: a\r\n";
  for (int i = 0; i < 10'000; ++i) text += "a:\r\n";
  EXPECT_EQ(fate(text), "431 the request has more than 100 header fields");
  RequestHead head;
  std::size_t size = 0;
  HeadReading reading;
  while (reading.state == HeadState::incomplete) {
    ++size;
    reading = read_request_head(std::string_view(text).substr(0, size), size - 1, {}, head);
  }
  EXPECT_EQ(reading.refusal.status, 431);
  EXPECT_LE(size, 32 * 1024U);
}

}  // namespace
}  // namespace svc::router
