#include "router/core/api_keys.hpp"

#include <gtest/gtest.h>

#include <utility>

namespace svc::router {
namespace {

using namespace std::chrono_literals;

constexpr TimePoint kStart{1000s};
constexpr std::string_view kSecret = "sk-0123456789abcdef";

std::string hash_of(std::string_view key) { return R"("sha256":")" + sha256_hex(key) + '"'; }

ApiKeys keys_of(const std::string& items, const ApiKeys* previous = nullptr) {
  auto keys = ApiKeys::parse(R"({"keys":[)" + items + "]}", previous);
  EXPECT_TRUE(keys.has_value()) << keys.error().to_string();
  return std::move(*keys);
}

ApiKeys one_key(const std::string& settings, const ApiKeys* previous = nullptr) {
  return keys_of(R"({"name":"a",)" + hash_of(kSecret) + settings + "}", previous);
}

ApiKey& only(const ApiKeys& keys) { return *keys.all().front(); }

TEST(ApiKeys, Sha256Hex_OfAKnownText) {
  EXPECT_EQ(sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(ApiKeys, None_AsksForNoKey) {
  const ApiKeys keys;
  EXPECT_FALSE(keys.enabled());
  EXPECT_EQ(keys.find("Bearer " + std::string(kSecret)), nullptr);
}

TEST(ApiKeys, File_IsRead) {
  const ApiKeys keys = keys_of(R"({"name":"team-a",)" + hash_of(kSecret) +
                               R"(,"models":["b","a"],"requests_per_minute":600,"tokens_per_minute":2e5,
                                  "priority":"interactive"},{"name":"team-b","key":"another-key-of-16"})");
  EXPECT_TRUE(keys.enabled());
  ASSERT_EQ(keys.size(), 2U);
  const ApiKey* key = keys.find("Bearer " + std::string(kSecret));
  ASSERT_NE(key, nullptr);
  EXPECT_EQ(key->name, "team-a");
  EXPECT_EQ(key->priority, "interactive");
  EXPECT_EQ(key->requests_per_minute, 600);
  EXPECT_EQ(key->tokens_per_minute, 200'000);
  EXPECT_TRUE(key->allows("a"));
  EXPECT_TRUE(key->allows("b"));
  EXPECT_FALSE(key->allows("c"));
  EXPECT_FALSE(key->allows(""));
  const ApiKey* other = keys.find("bearer   another-key-of-16");
  ASSERT_NE(other, nullptr);
  EXPECT_EQ(other->name, "team-b");
  EXPECT_EQ(other->priority, "default");
  EXPECT_TRUE(other->allows("anything"));
}

TEST(ApiKeys, Find_TakesTheWholeKeyAsABearerToken) {
  const ApiKeys keys = one_key("");
  const std::string secret(kSecret);
  for (const std::string& value : {"Bearer " + secret, "BEARER " + secret, "Bearer  " + secret + " "}) {
    EXPECT_NE(keys.find(value), nullptr) << value;
  }
  const std::string others[] = {secret,
                                "Basic " + secret,
                                "Bearer",
                                "Bearer ",
                                "",
                                "Bearer " + secret + "x",
                                "Bearer " + secret.substr(1),
                                "Bearer x " + secret,
                                "Bearer " + sha256_hex(secret)};
  for (const std::string& value : others) {
    EXPECT_EQ(keys.find(value), nullptr) << value;
  }
}

TEST(ApiKeys, UpperCaseHash_IsTheSame) {
  std::string hash = sha256_hex(kSecret);
  for (char& c : hash) c = static_cast<char>(std::toupper(c));
  const ApiKeys keys = keys_of(R"({"name":"a","sha256":")" + hash + "\"}");
  EXPECT_NE(keys.find("Bearer " + std::string(kSecret)), nullptr);
}

TEST(ApiKeys, BadFile_SaysWhereAndQuotesNoKey) {
  const std::string hash = hash_of(kSecret);
  const std::string secret(kSecret);
  const std::pair<std::string, std::string> cases[] = {
      {"", "invalid JSON"},
      {"{}", "'keys' must have at least one key"},
      {R"({"keys":[]})", "'keys' must have at least one key"},
      {R"({"keys":{}})", "'keys' must be"},
      {R"([])", ""},
      {R"({"keys":[],"other":1})", "only 'keys'"},
      {R"({"keys":[5]})", "keys[0]"},
      {R"({"keys":[{)" + hash + "}]}", "keys[0].name"},
      {R"({"keys":[{"name":"",)" + hash + "}]}", "keys[0].name"},
      {R"({"keys":[{"name":"a"}]})", "keys[0].sha256"},
      {R"({"keys":[{"name":"a","key":")" + secret + "\"," + hash + "}]}", "keys[0].sha256"},
      {R"({"keys":[{"name":"a","sha256":")" + secret + "\"}]}", "keys[0].sha256"},
      {R"({"keys":[{"name":"a","sha256":123456}]})", "keys[0].sha256"},
      {R"({"keys":[{"name":"a","key":123456}]})", "keys[0].key"},
      {R"({"keys":[{"name":"a","key":"sk 0123456789abcdef"}]})", "keys[0].key"},
      {R"({"keys":[{"name":"a","key":"0123456789"}]})", "keys[0].key"},
      {R"({"keys":[{"name":"a",")" + secret + "\":1," + hash + "}]}", "keys[0]"},
      {R"({"keys":[{"name":"a","models":[],)" + hash + "}]}", "keys[0].models"},
      {R"({"keys":[{"name":"a","models":"m",)" + hash + "}]}", "keys[0].models"},
      {R"({"keys":[{"name":"a","priority":"high",)" + hash + "}]}", "keys[0].priority"},
      {R"({"keys":[{"name":"a","requests_per_minute":-1,)" + hash + "}]}", "keys[0].requests_per_minute"},
      {R"({"keys":[{"name":"a",)" + hash + R"(},{"name":"a","key":"0123456789abcdef"}]})", "keys[1].name"},
      {R"({"keys":[{"name":"a",)" + hash + R"(},{"name":"b","key":")" + secret + "\"}]}", "keys[1]"},
  };
  for (const auto& [text, words] : cases) {
    const auto keys = ApiKeys::parse(text, nullptr);
    ASSERT_TRUE(keys.has_error()) << text;
    const std::string message = keys.error().to_string();
    EXPECT_NE(message.find(words), std::string::npos) << message;
    for (const std::string_view part : {kSecret.substr(3), std::string_view("123456")}) {
      EXPECT_EQ(message.find(part), std::string::npos) << message;
    }
  }
}

int requests_allowed(ApiKey& key, TimePoint now, int wanted) {
  int allowed = 0;
  for (int i = 0; i < wanted; ++i) allowed += key.take_request(now) ? 0 : 1;
  return allowed;
}

TEST(ApiKey, Requests_AMinutesWorthAtOnceThenEvenly) {
  const ApiKeys keys = one_key(R"(,"requests_per_minute":60)");
  ApiKey& key = only(keys);
  EXPECT_EQ(requests_allowed(key, kStart, 100), 60);
  const auto wait = key.take_request(kStart + 250ms);
  ASSERT_TRUE(wait.has_value());
  EXPECT_NEAR(*wait, 0.75, 1e-6);
  EXPECT_EQ(requests_allowed(key, kStart + 1s, 5), 1);
  EXPECT_EQ(requests_allowed(key, kStart + 11s, 100), 10);
  EXPECT_EQ(requests_allowed(key, kStart + 24h, 100), 60);
  EXPECT_EQ(requests_allowed(key, kStart, 100), 0);  // a clock that is behind gives nothing
}

TEST(ApiKey, NoLimits_NeverWaits) {
  const ApiKeys keys = one_key("");
  EXPECT_EQ(requests_allowed(only(keys), kStart, 10'000), 10'000);
  only(keys).spend_tokens(kStart, 1'000'000'000);
  EXPECT_FALSE(only(keys).token_wait(kStart).has_value());
}

TEST(ApiKey, LessThanOneAMinute_IsOneNowAndThen) {
  const ApiKeys keys = one_key(R"(,"requests_per_minute":0.5)");
  EXPECT_EQ(requests_allowed(only(keys), kStart, 10), 1);
  EXPECT_NEAR(*only(keys).take_request(kStart), 120, 1e-6);
  EXPECT_EQ(requests_allowed(only(keys), kStart + 120s, 10), 1);
}

TEST(ApiKey, Tokens_InDebtUntilItIsPaidBack) {
  const ApiKeys keys = one_key(R"(,"tokens_per_minute":600)");
  ApiKey& key = only(keys);
  EXPECT_FALSE(key.token_wait(kStart).has_value());
  key.spend_tokens(kStart, 600);
  EXPECT_FALSE(key.token_wait(kStart).has_value());
  key.spend_tokens(kStart, 100);
  ASSERT_TRUE(key.token_wait(kStart).has_value());
  EXPECT_NEAR(*key.token_wait(kStart + 4s), 6, 1e-6);
  EXPECT_FALSE(key.token_wait(kStart + 11s).has_value());
  key.spend_tokens(kStart + 11s, 999'999'999'999'999);
  EXPECT_NEAR(*key.token_wait(kStart + 11s), 3600, 1e-3);
}

TEST(ApiKeys, Reload_KeepsRunningLimitsByName) {
  const ApiKeys before = one_key(R"(,"requests_per_minute":60,"tokens_per_minute":60)");
  EXPECT_EQ(requests_allowed(only(before), kStart, 60), 60);
  only(before).spend_tokens(kStart, 120);
  const ApiKeys after = one_key(R"(,"requests_per_minute":120,"tokens_per_minute":60)", &before);
  EXPECT_EQ(requests_allowed(only(after), kStart, 60), 0);
  EXPECT_TRUE(only(after).token_wait(kStart).has_value());
  EXPECT_EQ(requests_allowed(only(after), kStart + 1s, 60), 2);
  const ApiKeys lowered = one_key(R"(,"requests_per_minute":10)", &after);
  EXPECT_EQ(requests_allowed(only(lowered), kStart + 1h, 60), 10);
  const ApiKeys renamed = keys_of(R"({"name":"b",)" + hash_of(kSecret) + R"(,"requests_per_minute":60})", &before);
  EXPECT_EQ(requests_allowed(only(renamed), kStart, 100), 60);
}

}  // namespace
}  // namespace svc::router
