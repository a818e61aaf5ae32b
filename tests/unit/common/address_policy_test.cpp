#include "common/core/address_policy.hpp"

#include <gtest/gtest.h>

#include <string>

namespace svc {
namespace {

std::string refusal(const AddressPolicy& policy, const std::string& text) {
  return policy.refusal(*IpAddress::parse(text)).value_or("");
}

TEST(AddressPolicy, Default_RefusesWhatNoInstanceHas) {
  struct Row {
    std::string address;
    std::string reason;
  };
  const Row rows[] = {
      {"169.254.169.254", "169.254.169.254 is a link-local address"},
      {"169.254.0.1", "169.254.0.1 is a link-local address"},
      {"fe80::1", "fe80::1 is a link-local address"},
      {"::ffff:169.254.169.254", "169.254.169.254 is a link-local address"},
      {"::ffff:a9fe:a9fe", "169.254.169.254 is a link-local address"},
      {"fd00:ec2::254", "fd00:ec2::254 is a cloud metadata address"},
      {"0.0.0.0", "0.0.0.0 is an unspecified address"},
      {"0.255.1.2", "0.255.1.2 is an unspecified address"},
      {"::", ":: is an unspecified address"},
      {"::ffff:0.0.0.0", "0.0.0.0 is an unspecified address"},
      {"224.0.0.1", "224.0.0.1 is a multicast address"},
      {"239.1.2.3", "239.1.2.3 is a multicast address"},
      {"ff02::1", "ff02::1 is a multicast address"},
      {"255.255.255.255", "255.255.255.255 is the broadcast address"},
      {"64:ff9b::a9fe:a9fe", "64:ff9b::a9fe:a9fe leads to 169.254.169.254, a link-local address"},
      {"2002:a9fe:a9fe::1", "2002:a9fe:a9fe::1 leads to 169.254.169.254, a link-local address"},
      {"::169.254.169.254", "::a9fe:a9fe leads to 169.254.169.254, a link-local address"},
      {"64:ff9b::", "64:ff9b:: leads to 0.0.0.0, an unspecified address"},
      {"127.0.0.1", ""},
      {"::1", ""},
      {"10.0.0.1", ""},
      {"192.168.1.1", ""},
      {"8.8.8.8", ""},
      {"fd00:ec2::253", ""},
      {"2001:db8::1", ""},
      {"64:ff9b::8.8.8.8", ""},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.address);
    EXPECT_EQ(refusal(AddressPolicy{}, row.address), row.reason);
  }
}

TEST(AddressPolicy, LinkLocalAllowed_StillRefusesTheRest) {
  AddressPolicy policy;
  policy.refuse_link_local = false;
  EXPECT_EQ(refusal(policy, "169.254.169.254"), "");
  EXPECT_EQ(refusal(policy, "fe80::1"), "");
  EXPECT_EQ(refusal(policy, "fd00:ec2::254"), "");
  EXPECT_NE(refusal(policy, "0.0.0.0"), "");
  EXPECT_NE(refusal(policy, "ff02::1"), "");
  EXPECT_NE(refusal(policy, "255.255.255.255"), "");
}

TEST(AddressPolicy, AllowList_LetsOnlyItsNetworksThrough) {
  AddressPolicy policy;
  policy.allow = {*Cidr::parse("10.0.0.0/8"), *Cidr::parse("fd12::/16")};
  EXPECT_EQ(refusal(policy, "10.1.2.3"), "");
  EXPECT_EQ(refusal(policy, "::ffff:10.1.2.3"), "");
  EXPECT_EQ(refusal(policy, "fd12::9"), "");
  EXPECT_EQ(refusal(policy, "11.0.0.1"), "11.0.0.1 is in none of the allowed networks");
  EXPECT_EQ(refusal(policy, "127.0.0.1"), "127.0.0.1 is in none of the allowed networks");
  EXPECT_EQ(refusal(policy, "64:ff9b::10.1.2.3"), "64:ff9b::a01:203 is in none of the allowed networks");
}

TEST(AddressPolicy, AllowListOfEverything_DoesNotLiftTheRefusals) {
  AddressPolicy policy;
  policy.allow = {*Cidr::parse("0.0.0.0/0"), *Cidr::parse("::/0")};
  EXPECT_EQ(refusal(policy, "169.254.169.254"), "169.254.169.254 is a link-local address");
  EXPECT_EQ(refusal(policy, "8.8.8.8"), "");
}

TEST(LooksLikeOddIpv4, NumbersInDisguise_AreSeen) {
  for (const char* host : {"2130706433", "0x7f000001", "0X7F000001", "017700000001", "127.1", "127.0.1", "0x7f.1",
                           "0177.0.0.1", "0x7f.0.0.1", "1.2.3.4.5", "256.1.1.1", "127.0.0.1.", "01.2.3.4", "0", "0x",
                           "evil.0x7f", "example.1", "999999999999999999999"}) {
    EXPECT_TRUE(looks_like_odd_ipv4(host)) << host;
  }
}

TEST(LooksLikeOddIpv4, NamesAndPlainAddresses_AreNot) {
  for (const char* host : {"127.0.0.1", "0.0.0.0", "::1", "localhost", "example.com", "1.example", "0xg", "gpu1",
                           "a.b1", "", ".", "3com", "1-2", "x.0x7g"}) {
    EXPECT_FALSE(looks_like_odd_ipv4(host)) << host;
  }
}

}  // namespace
}  // namespace svc
