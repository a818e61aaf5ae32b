#include "common/core/endpoint.hpp"

#include <gtest/gtest.h>

#include <string>

namespace svc {
namespace {

TEST(ParseEndpoint, GoodText_GivesHostAndPort) {
  struct Row {
    std::string text;
    Endpoint endpoint;
  };
  const Row rows[] = {
      {"localhost:8081", {"localhost", 8081}},         {"10.0.0.1:1", {"10.0.0.1", 1}},
      {"gpu-3.rack_1:65535", {"gpu-3.rack_1", 65535}}, {"[::1]:80", {"::1", 80}},
      {"[2001:db8::5]:8100", {"2001:db8::5", 8100}},   {"a.b.:80", {"a.b.", 80}},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.text);
    const auto result = parse_endpoint(row.text);
    ASSERT_TRUE(result.has_value()) << result.error().message;
    EXPECT_EQ(*result, row.endpoint);
    EXPECT_EQ(result->to_string(), row.text);
  }
}

TEST(ParseEndpoint, BadText_SaysWhy) {
  struct Row {
    std::string text;
    std::string why;
  };
  const Row rows[] = {
      {"", "the port is missing"},
      {"localhost", "the port is missing"},
      {"[::1]", "the host is not valid"},
      {":80", "the host is not valid"},
      {"::1:80", "an IPv6 address needs brackets"},
      {"host:", "the port must be a number from 1 to 65535"},
      {"host:0", "the port must be a number from 1 to 65535"},
      {"host:65536", "the port must be a number from 1 to 65535"},
      {"host:-1", "the port must be a number from 1 to 65535"},
      {"host:+80", "the port must be a number from 1 to 65535"},
      {"host:80 ", "the port must be a number from 1 to 65535"},
      {"host:0x50", "the port must be a number from 1 to 65535"},
      {"host:000080", "the port must be a number from 1 to 65535"},
      {"host:99999999999999999999", "the port must be a number from 1 to 65535"},
      {"ho st:80", "the host is not valid"},
      {"user@host:80", "the host is not valid"},
      {"host/x:80", "the host is not valid"},
      {"[10.0.0.1]:80", "the host is not valid"},
      {"[fe80::1%eth0]:80", "the host is not valid"},
      {"[::1:80", "the host is not valid"},
      {"2130706433:80", "the host is not valid"},
      {"0x7f.1:80", "the host is not valid"},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.text);
    const auto result = parse_endpoint(row.text);
    ASSERT_TRUE(result.has_error());
    EXPECT_EQ(result.error().message, "'" + row.text + "' is not host:port: " + row.why);
    EXPECT_EQ(result.error().code, Errc::invalid_argument);
  }
}

TEST(Endpoint, Ipv6_IsPrintedInBrackets) {
  EXPECT_EQ((Endpoint{"::1", 80}).to_string(), "[::1]:80");
  EXPECT_EQ((Endpoint{"a", 0}).to_string(), "a:0");
}

TEST(Host, WrittenDifferently_IsOne) {
  struct Row {
    const char *a, *b;
    bool same;
  };
  for (const auto& [a, b, same] :
       {Row{"::1", "[::1]", true}, Row{"[::1]", "0:0:0:0:0:0:0:1", true}, Row{"FD00::7", "[fd00::7]", true},
        Row{"::ffff:10.0.0.1", "10.0.0.1", true}, Row{"gpu1", "gpu1", true}, Row{"::1", "::2", false},
        Row{"[gpu1]", "gpu1", false}, Row{"10.0.0.1", "10.0.0.2", false}, Row{"", "[]", false}}) {
    EXPECT_EQ(same_host(a, b), same) << a << ' ' << b;
    EXPECT_EQ(host_key(a) == host_key(b), same) << a << ' ' << b;
  }
  EXPECT_TRUE(same_host("Gpu1", "gpu1"));
  EXPECT_EQ(host_key("[FD00:0::7]"), "fd00::7");
  EXPECT_EQ(host_key("Gpu1.example."), "Gpu1.example.");
  EXPECT_EQ(without_brackets("[x"), "[x");
}

TEST(Host, Loopback_IsLocalhostOrItsAddresses) {
  for (const char* host : {"localhost", "127.0.0.1", "127.9.9.9", "::1", "[::1]"}) EXPECT_TRUE(is_loopback_host(host));
  for (const char* host : {"", "localhost.example", "128.0.0.1", "0.0.0.0", "::", "[::2]", "gpu1"}) {
    EXPECT_FALSE(is_loopback_host(host)) << host;
  }
}

TEST(Endpoint, Order_IsHostThenPort) {
  EXPECT_LT((Endpoint{"a", 2}), (Endpoint{"b", 1}));
  EXPECT_LT((Endpoint{"a", 1}), (Endpoint{"a", 2}));
}

TEST(ParsePort, BadText_LeavesTheTargetAlone) {
  std::uint16_t port = 7;
  for (const char* text : {"", "0", "65536", "1e3", " 80", "80\n", "８０", "18446744073709551617"}) {
    EXPECT_FALSE(parse_port(text, port)) << text;
    EXPECT_EQ(port, 7);
  }
  EXPECT_TRUE(parse_port("00080", port));
  EXPECT_EQ(port, 80);
}

TEST(ValidHost, GoodHosts_AreAccepted) {
  for (const std::string& host :
       {std::string("localhost"), std::string("a"), std::string("GPU-01.Example.COM"), std::string("my_service"),
        std::string("127.0.0.1"), std::string("::"), std::string("[::1]"), std::string("::ffff:1.2.3.4"),
        std::string("a.example."), std::string("1a"), std::string("3com.example"), std::string(63, 'a'),
        std::string("0xg.example"), std::string("1.2.3.4.example")}) {
    EXPECT_TRUE(valid_host(host)) << host;
  }
}

TEST(ValidHost, BadHosts_AreRefused) {
  const std::string long_name = [] {
    std::string name;
    for (int i = 0; i < 64; ++i) name += "abc.";
    return name + "d";
  }();
  for (const std::string& host : {std::string(),
                                  std::string("."),
                                  std::string("a..b"),
                                  std::string(".a"),
                                  std::string("-a"),
                                  std::string("a-"),
                                  std::string("a b"),
                                  std::string("a/b"),
                                  std::string("a?b"),
                                  std::string("a#b"),
                                  std::string("a@b"),
                                  std::string("a:b"),
                                  std::string("a%41"),
                                  std::string("a\\b"),
                                  std::string("a\0b", 3),
                                  std::string("a\n"),
                                  std::string("ä"),
                                  std::string(64, 'a'),
                                  long_name,
                                  std::string("[]"),
                                  std::string("[::1"),
                                  std::string("::1]"),
                                  std::string("[[::1]]"),
                                  std::string("[v1.x]"),
                                  std::string("256.1.1.1"),
                                  std::string("1.2.3"),
                                  std::string("1.2.3.4."),
                                  std::string("01.2.3.4"),
                                  std::string("12345"),
                                  std::string("0x7f000001"),
                                  std::string("example.0x1"),
                                  std::string("*"),
                                  std::string("a,b")}) {
    EXPECT_FALSE(valid_host(host)) << host;
  }
}

}  // namespace
}  // namespace svc
