#include "router/core/api_keys.hpp"

#include <gtest/gtest.h>

#include <utility>

namespace svc::router {
namespace {

constexpr std::string_view kSecret = "sk-0123456789abcdef";

std::string hash_of(std::string_view key) { return R"("sha256":")" + sha256_hex(key) + '"'; }

std::vector<ApiKey> keys_of(const std::string& items) {
  auto keys = parse_api_keys(R"({"keys":[)" + items + "]}");
  EXPECT_TRUE(keys.has_value()) << keys.error().to_string();
  return std::move(*keys);
}

bool opens(const ApiKey& key, std::string_view authorization) {
  const auto digest = shown_key_digest(authorization);
  return digest && same_digest(key.sha256, *digest);
}

TEST(ApiKeys, Sha256Hex_OfAKnownText) {
  EXPECT_EQ(sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(ApiKeys, File_IsRead) {
  const auto keys = keys_of(
      R"({"name":"team-a",)" + hash_of(kSecret) +
      R"(,"models":["b","a"],"requests_per_minute":600,"tokens_per_minute":2e5},{"name":"team-b","key":"another-key-of-16"})");
  ASSERT_EQ(keys.size(), 2U);
  const ApiKey* key = &keys[0];
  EXPECT_TRUE(opens(*key, "Bearer " + std::string(kSecret)));
  EXPECT_EQ(key->name, "team-a");
  EXPECT_EQ(key->requests_per_minute, 600);
  EXPECT_EQ(key->tokens_per_minute, 200'000);
  EXPECT_TRUE(key->allows("a"));
  EXPECT_TRUE(key->allows("b"));
  EXPECT_FALSE(key->allows("c"));
  EXPECT_FALSE(key->allows(""));
  const ApiKey* other = &keys[1];
  EXPECT_TRUE(opens(*other, "bearer   another-key-of-16"));
  EXPECT_FALSE(opens(*other, "Bearer " + std::string(kSecret)));
  EXPECT_EQ(other->name, "team-b");
  EXPECT_TRUE(other->allows("anything"));
}

TEST(ApiKeys, ShownKey_IsTheWholeBearerToken) {
  const auto keys = keys_of(R"({"name":"a",)" + hash_of(kSecret) + "}");
  const std::string secret(kSecret);
  for (const std::string& value : {"Bearer " + secret, "BEARER " + secret, "Bearer  " + secret + " "}) {
    EXPECT_TRUE(opens(keys[0], value)) << value;
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
    EXPECT_FALSE(opens(keys[0], value)) << value;
  }
}

TEST(ApiKeys, UpperCaseHash_IsTheSame) {
  std::string hash = sha256_hex(kSecret);
  for (char& c : hash) c = static_cast<char>(std::toupper(c));
  const auto keys = keys_of(R"({"name":"a","sha256":")" + hash + "\"}");
  EXPECT_TRUE(opens(keys[0], "Bearer " + std::string(kSecret)));
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
      {R"({"keys":[{"name":"a","colour":"high",)" + hash + "}]}", "'keys[0]' has an unknown setting; known are name, "},
      {R"({"keys":[{"name":"a","requests_per_minute":-1,)" + hash + "}]}", "keys[0].requests_per_minute"},
      {R"({"keys":[{"name":"a","requests_per_minute":0,)" + hash + "}]}", "must be above 0"},
      {R"({"keys":[{"name":"a","tokens_per_minute":0,)" + hash + "}]}", "keys[0].tokens_per_minute"},
      {R"({"keys":[{"name":"a",)" + hash + R"(},{"name":"a","key":"0123456789abcdef"}]})", "keys[1].name"},
      {R"({"keys":[{"name":"a",)" + hash + R"(},{"name":"b","key":")" + secret + "\"}]}", "keys[1]"},
  };
  for (const auto& [text, words] : cases) {
    const auto keys = parse_api_keys(text);
    ASSERT_TRUE(keys.has_error()) << text;
    const std::string message = keys.error().to_string();
    EXPECT_NE(message.find(words), std::string::npos) << message;
    for (const std::string_view part : {kSecret.substr(3), std::string_view("123456")}) {
      EXPECT_EQ(message.find(part), std::string::npos) << message;
    }
  }
}

}  // namespace
}  // namespace svc::router
