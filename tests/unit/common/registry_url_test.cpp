#include "common/core/registry_url.hpp"

#include <gtest/gtest.h>

#include <string>

namespace svc {
namespace {

TEST(RegistryBase, EndingOfTheList_IsLeftOut) {
  for (const char* text :
       {"http://h:1", "http://h:1/", "http://h:1/services", "http://h:1/services/", "http://h:1//"}) {
    const auto base = registry_base(text);
    ASSERT_TRUE(base.has_value()) << text;
    EXPECT_EQ(*base, "http://h:1") << text;
  }
  EXPECT_EQ(*registry_base("https://h/registry/services"), "https://h/registry");
}

TEST(RegistryBase, NoUrl_IsRefused) {
  for (const char* text : {"", "h:1", "ftp://h", "http://", "http://h:x"}) {
    EXPECT_TRUE(registry_base(text).has_error()) << text;
  }
  EXPECT_EQ(registry_base("http://h?a=b").error().message, "must not have a query, got 'http://h?a=b'");
}

}  // namespace
}  // namespace svc
