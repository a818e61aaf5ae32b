#include "common/core/ip_address.hpp"

#include <arpa/inet.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string>

namespace svc {
namespace {

TEST(IpAddressParse, GoodText_PrintsCanonically) {
  struct Row {
    std::string text;
    std::string canonical;
    bool v4;
  };
  const Row rows[] = {
      {"0.0.0.0", "0.0.0.0", true},
      {"255.255.255.255", "255.255.255.255", true},
      {"10.20.30.40", "10.20.30.40", true},
      {"::", "::", false},
      {"::1", "::1", false},
      {"1::", "1::", false},
      {"2001:DB8:0:0:0:0:0:1", "2001:db8::1", false},
      {"2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1", false},
      {"2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1", false},
      {"1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0", false},
      {"::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8", false},
      {"0001:0002::000f", "1:2::f", false},
      {"64:ff9b::192.0.2.33", "64:ff9b::c000:221", false},
      {"::ffff:127.0.0.1", "127.0.0.1", true},
      {"::FFFF:7f00:1", "127.0.0.1", true},
      {"0:0:0:0:0:ffff:10.0.0.1", "10.0.0.1", true},
      {"::1.2.3.4", "::102:304", false},
      {"ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", false},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.text);
    const auto address = IpAddress::parse(row.text);
    ASSERT_TRUE(address.has_value());
    EXPECT_EQ(address->to_string(), row.canonical);
    EXPECT_EQ(address->is_v4(), row.v4);
    EXPECT_EQ(IpAddress::parse(address->to_string()), address);
  }
}

TEST(IpAddressParse, BadText_IsRefused) {
  const std::string rows[] = {
      "",
      " ",
      ".",
      ":",
      ":::",
      "1",
      "1.2",
      "1.2.3",
      "1.2.3.4.5",
      "1.2.3.",
      ".1.2.3",
      "1..2.3",
      "256.0.0.1",
      "1.2.3.256",
      "1.2.3.999",
      "1.2.3.1000",
      "01.2.3.4",
      "1.2.3.04",
      "00.0.0.0",
      "0x7f.0.0.1",
      "0x7f000001",
      "2130706433",
      "0177.0.0.1",
      "127.1",
      " 1.2.3.4",
      "1.2.3.4 ",
      "1.2.3.4\n",
      "-1.2.3.4",
      "+1.2.3.4",
      "1.2.3.4/8",
      "1.2.3.a",
      "1:2:3:4:5:6:7",
      "1:2:3:4:5:6:7:8:9",
      "1:2:3:4:5:6:7:8::",
      "::1:2:3:4:5:6:7:8",
      "1::2:3:4:5:6:7:8",
      "1::2::3",
      "::1::",
      "12345::",
      "g::",
      ":1",
      "1:",
      ":1:2:3:4:5:6:7",
      "1:2:3:4:5:6:7:",
      "::1%eth0",
      "fe80::1%1",
      "[::1]",
      "::1/64",
      "::1 ",
      "::1.2.3",
      "::1.2.3.4.5",
      "::256.1.1.1",
      "::01.2.3.4",
      "1.2.3.4::",
      "::1.2.3.4:5",
      "1:2:3:4:5:6:7:1.2.3.4",
      "::ffff:0x7f.1",
      "::-1",
      "0:0:0:0:0:0:0:0:0:0:0:0",
      std::string("1.2.3.4\0", 8),
      std::string("::1\0", 4),
      std::string(100, ':'),
      std::string(1'000'000, '1'),
      "１.2.3.4",
  };
  for (const std::string& text : rows) EXPECT_FALSE(IpAddress::parse(text).has_value()) << text.substr(0, 60);
}

// The system's own strict parser is the reference: same verdict, same bytes, over texts made of the telling characters.
TEST(IpAddressParse, RandomText_AgreesWithTheSystem) {
  constexpr std::string_view kAlphabet = "0125f:.:0f1::";
  std::uint64_t state = 7;
  int accepted = 0;
  for (int round = 0; round < 200'000; ++round) {
    std::string text;
    state = state * 6364136223846793005U + 1442695040888963407U;
    const std::size_t length = 2 + (state >> 33) % 18;
    for (std::size_t i = 0; i < length; ++i) {
      state = state * 6364136223846793005U + 1442695040888963407U;
      text += kAlphabet[(state >> 33) % kAlphabet.size()];
    }
    in_addr v4{};
    in6_addr v6{};
    const bool system_v4 = inet_pton(AF_INET, text.c_str(), &v4) == 1;
    const bool system_v6 = inet_pton(AF_INET6, text.c_str(), &v6) == 1;
    const auto ours = IpAddress::parse(text);
    ASSERT_EQ(ours.has_value(), system_v4 || system_v6) << text;
    if (!ours) continue;
    ++accepted;
    std::array<std::uint8_t, 16> bytes{};
    if (system_v4) std::memcpy(bytes.data(), &v4, 4);
    if (system_v6) std::memcpy(bytes.data(), &v6, 16);
    const IpAddress theirs = system_v4 ? IpAddress::v4({bytes[0], bytes[1], bytes[2], bytes[3]}) : IpAddress::v6(bytes);
    ASSERT_EQ(*ours, theirs) << text;
    if (ours->is_v4()) continue;
    char printed[INET6_ADDRSTRLEN] = {};
    ASSERT_NE(inet_ntop(AF_INET6, &v6, printed, sizeof printed), nullptr);
    // The system prints some small addresses in the dotted form, which RFC 5952 leaves open.
    if (std::string(printed).find('.') != std::string::npos) continue;
    ASSERT_EQ(ours->to_string(), printed) << text;
  }
  EXPECT_GT(accepted, 200);
}

TEST(IpAddress, Kinds_AreRecognised) {
  struct Row {
    std::string text;
    std::string kinds;  // l loopback, u unspecified, k link-local, m multicast, b broadcast
  };
  const Row rows[] = {
      {"127.0.0.1", "l"},
      {"127.255.255.255", "l"},
      {"128.0.0.1", ""},
      {"126.255.255.255", ""},
      {"0.0.0.0", "u"},
      {"0.1.2.3", "u"},
      {"1.0.0.0", ""},
      {"169.254.0.0", "k"},
      {"169.254.169.254", "k"},
      {"169.253.1.1", ""},
      {"169.255.0.1", ""},
      {"224.0.0.1", "m"},
      {"239.255.255.255", "m"},
      {"240.0.0.1", ""},
      {"255.255.255.255", "b"},
      {"255.255.255.254", ""},
      {"::1", "l"},
      {"::", "u"},
      {"::2", ""},
      {"fe80::1", "k"},
      {"febf::1", "k"},
      {"fec0::1", ""},
      {"ff02::1", "m"},
      {"fd00::1", ""},
      {"::ffff:127.0.0.1", "l"},
      {"::ffff:169.254.1.1", "k"},
      {"::ffff:0.0.0.0", "u"},
      {"10.1.2.3", ""},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.text);
    const auto address = IpAddress::parse(row.text);
    ASSERT_TRUE(address.has_value());
    std::string kinds;
    if (address->is_loopback()) kinds += 'l';
    if (address->is_unspecified()) kinds += 'u';
    if (address->is_link_local()) kinds += 'k';
    if (address->is_multicast()) kinds += 'm';
    if (address->is_broadcast()) kinds += 'b';
    EXPECT_EQ(kinds, row.kinds);
  }
}

TEST(IpAddress, EmbeddedV4_IsFound) {
  struct Row {
    std::string text;
    std::string inner;
  };
  const Row rows[] = {
      {"64:ff9b::169.254.169.254", "169.254.169.254"},
      {"2002:7f00:1::", "127.0.0.1"},
      {"::10.0.0.1", "10.0.0.1"},
      {"::1", ""},
      {"::", ""},
      {"64:ff9b:1::1.2.3.4", ""},
      {"2001:db8::1.2.3.4", ""},
      {"10.0.0.1", ""},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.text);
    const auto inner = IpAddress::parse(row.text)->embedded_v4();
    EXPECT_EQ(inner ? inner->to_string() : "", row.inner);
  }
}

TEST(Cidr, GoodText_ContainsItsNetworkOnly) {
  struct Row {
    std::string network;
    std::string inside;
    std::string outside;
  };
  const Row rows[] = {
      {"10.0.0.0/8", "10.255.255.255", "11.0.0.0"},
      {"192.168.4.0/22", "192.168.7.255", "192.168.8.0"},
      {"0.0.0.0/0", "255.255.255.255", "::1"},
      {"::/0", "ffff::", "1.2.3.4"},
      {"127.0.0.1", "127.0.0.1", "127.0.0.2"},
      {"127.0.0.1/32", "::ffff:127.0.0.1", "127.0.0.0"},
      {"fd00::/8", "fdff:ffff::1", "fe00::"},
      {"2001:db8::/33", "2001:db8:7fff::", "2001:db8:8000::"},
      {"::1", "::1", "::2"},
      {"128.0.0.0/1", "200.0.0.1", "127.0.0.1"},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.network);
    const auto network = Cidr::parse(row.network);
    ASSERT_TRUE(network.has_value()) << network.error().message;
    EXPECT_TRUE(network->contains(*IpAddress::parse(row.inside)));
    EXPECT_FALSE(network->contains(*IpAddress::parse(row.outside)));
    EXPECT_EQ(*Cidr::parse(network->to_string()), *network);
  }
}

TEST(Cidr, BadText_SaysWhy) {
  struct Row {
    std::string text;
    std::string why;
  };
  const Row rows[] = {
      {"", "the address is not valid"},
      {"/8", "the address is not valid"},
      {"10/8", "the address is not valid"},
      {"10.0.0.0/", "the prefix must be 0 to 32"},
      {"10.0.0.0/33", "the prefix must be 0 to 32"},
      {"10.0.0.0/-1", "the prefix must be 0 to 32"},
      {"10.0.0.0/08", "the prefix must be 0 to 32"},
      {"10.0.0.0/8/8", "the prefix must be 0 to 32"},
      {"10.0.0.0/255.0.0.0", "the prefix must be 0 to 32"},
      {"10.0.0.0/4294967304", "the prefix must be 0 to 32"},
      {"fd00::/129", "the prefix must be 0 to 128"},
      {"10.0.0.1/8", "the address has bits set after the prefix of 8"},
      {"fd00::1/8", "the address has bits set after the prefix of 8"},
      {"::ffff:10.0.0.0/104", "write an IPv4 network in its own form"},
      {"localhost/8", "the address is not valid"},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.text);
    const auto network = Cidr::parse(row.text);
    ASSERT_TRUE(network.has_error());
    EXPECT_EQ(network.error().message, "'" + row.text + "' is not a network such as 10.0.0.0/8: " + row.why);
  }
}

}  // namespace
}  // namespace svc
