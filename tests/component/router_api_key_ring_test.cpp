#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>

#include "router/io/api_key_ring.hpp"
#include "tests/support/moments.hpp"

namespace svc::router {
namespace {

using namespace std::chrono_literals;

using test::kStart;
constexpr const char* kShown = "Bearer sk-0123456789abcdef";

ApiKeyRing ring_of(const std::string& name, const std::string& settings, const ApiKeyRing* previous = nullptr) {
  auto keys = parse_api_keys(R"({"keys":[{"name":")" + name + R"(","key":"sk-0123456789abcdef")" + settings + "}]}");
  EXPECT_TRUE(keys.has_value()) << keys.error().to_string();
  return {*std::move(keys), previous};
}

int requests_allowed(const ApiKeyRing& ring, TimePoint now, int wanted) {
  int allowed = 0;
  for (int i = 0; i < wanted; ++i) allowed += ring.find(kShown)->take_request(now) ? 0 : 1;
  return allowed;
}

TEST(RouterApiKeyRing, NoKeys_AsksForNone) {
  const ApiKeyRing ring;
  EXPECT_FALSE(ring.enabled());
  EXPECT_EQ(ring.find(kShown), nullptr);
}

TEST(RouterApiKeyRing, Find_AmongSeveral) {
  auto keys = parse_api_keys(
      R"({"keys":[{"name":"a","key":"sk-0123456789abcdef"},{"name":"b","key":"another-key-of-16","models":["m"]}]})");
  ASSERT_TRUE(keys.has_value());
  const ApiKeyRing ring(*std::move(keys), nullptr);
  EXPECT_TRUE(ring.enabled());
  EXPECT_EQ(ring.size(), 2U);
  ASSERT_NE(ring.find(kShown), nullptr);
  EXPECT_EQ(ring.find(kShown)->name, "a");
  ASSERT_NE(ring.find("bearer  another-key-of-16"), nullptr);
  EXPECT_FALSE(ring.find("bearer  another-key-of-16")->allows("n"));
  for (const char* other :
       {"", "Bearer ", "sk-0123456789abcdef", "Bearer sk-0123456789abcdeg", "Basic another-key-of-16"}) {
    EXPECT_EQ(ring.find(other), nullptr) << other;
  }
}

TEST(RouterApiKeyRing, Reload_KeepsRunningLimitsByName) {
  const auto before = ring_of("a", R"(,"requests_per_minute":60,"tokens_per_minute":60)");
  EXPECT_EQ(requests_allowed(before, kStart, 60), 60);
  before.find(kShown)->spend_tokens(kStart, 120);
  const auto after = ring_of("a", R"(,"requests_per_minute":120,"tokens_per_minute":60)", &before);
  EXPECT_EQ(requests_allowed(after, kStart, 60), 0);
  EXPECT_TRUE(after.find(kShown)->token_wait(kStart).has_value());
  EXPECT_EQ(requests_allowed(after, kStart + 1s, 60), 2);
  EXPECT_EQ(requests_allowed(before, kStart + 1s, 60), 0) << "requests that still hold the old ring count too";
  const auto lowered = ring_of("a", R"(,"requests_per_minute":10)", &after);
  EXPECT_EQ(requests_allowed(lowered, kStart + 1h, 60), 10);
  const auto renamed = ring_of("b", R"(,"requests_per_minute":60)", &before);
  EXPECT_EQ(requests_allowed(renamed, kStart, 100), 60);
}

TEST(RouterApiKeyRing, Threads_ShareOneLimit) {
  const auto ring = ring_of("a", R"(,"requests_per_minute":1000,"tokens_per_minute":1000)");
  std::atomic<int> allowed{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      allowed += requests_allowed(ring, kStart, 500);
      for (int i = 0; i < 500; ++i) ring.find(kShown)->spend_tokens(kStart, 1);
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(allowed, 1000);
  EXPECT_NEAR(ring.find(kShown)->token_wait(kStart).value_or(0), 60, 1e-3);
}

}  // namespace
}  // namespace svc::router
