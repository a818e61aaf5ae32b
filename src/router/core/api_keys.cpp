#include "router/core/api_keys.hpp"

#include <openssl/crypto.h>
#include <openssl/sha.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "common/core/ascii.hpp"
#include "common/core/bearer_tokens.hpp"
#include "common/core/json_reader.hpp"

namespace svc::router {
namespace {

using nlohmann::json;

constexpr std::size_t kMaxName = 128;
constexpr std::size_t kMaxModel = 256;
constexpr std::size_t kMaxModelsOfKey = 1024;
constexpr std::size_t kMinKey = 16;
constexpr std::size_t kMaxKey = 256;
constexpr double kMaxPerMinute = 1e12;

KeyDigest digest_of(std::string_view text) {
  KeyDigest digest{};
  SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data());
  return digest;
}

std::optional<KeyDigest> digest_in(std::string_view hex) {
  KeyDigest digest{};
  if (hex.size() != 2 * digest.size()) return std::nullopt;
  for (std::size_t i = 0; i < digest.size(); ++i) {
    const int high = hex_value(hex[2 * i]);
    const int low = hex_value(hex[2 * i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    digest[i] = static_cast<unsigned char>(high * 16 + low);
  }
  return digest;
}

bool given(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && !found->is_null();
}

/// JsonReader's own messages quote what they find; a key must never be in one.
void read_digest(const json& item, JsonReader& reader, KeyDigest& digest) {
  if (given(item, "key") == given(item, "sha256")) {
    reader.fail("sha256", "must be there, or 'key' instead of it, and not both");
    return;
  }
  if (given(item, "sha256")) {
    const json& value = item["sha256"];
    const auto read = value.is_string() ? digest_in(value.get_ref<const std::string&>()) : std::nullopt;
    if (!read) return reader.fail("sha256", "must be 64 hex digits");
    digest = *read;
    return;
  }
  const json& value = item["key"];
  const std::string text = value.is_string() ? value.get<std::string>() : std::string{};
  const bool visible = std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7f; });
  if (text.size() < kMinKey || text.size() > kMaxKey || !visible) {
    return reader.fail("key", "must be a string of 16 to 256 visible ASCII characters");
  }
  digest = digest_of(text);
}

/// 0 would be taken for "none at all" by whoever writes it, and for "no limit" by whoever reads it.
void read_limit(const json& item, JsonReader& reader, const char* name, double& limit) {
  reader.number(name, limit, 0, kMaxPerMinute);
  if (given(item, name) && limit <= 0) reader.fail(name, "must be above 0 (leave it out for no limit)");
}

std::optional<Error> read_key(const json& item, const std::string& path, ApiKey& key) {
  JsonReader reader(item, path);
  if (auto error = reader.error()) return error;
  constexpr std::array<std::string_view, 7> kKnown = {
      "name", "sha256", "key", "models", "requests_per_minute", "tokens_per_minute", "priority"};
  reader.required("name");
  reader.text("name", key.name, {1, kMaxName});
  read_digest(item, reader, key.sha256);
  reader.text_list("models", key.models, {1, kMaxModel}, kMaxModelsOfKey);
  if (given(item, "models")) {
    key.all_models = false;
    // Leaving it out means all; an empty list means neither all nor anything else that one would want.
    if (key.models.empty()) reader.fail("models", "must name a model (leave it out to allow all)");
  }
  std::sort(key.models.begin(), key.models.end());
  read_limit(item, reader, "requests_per_minute", key.requests_per_minute);
  read_limit(item, reader, "tokens_per_minute", key.tokens_per_minute);
  if (given(item, "priority")) {
    const auto known =
        item["priority"].is_string() ? parse_priority(item["priority"].get_ref<const std::string&>()) : std::nullopt;
    if (!known) reader.fail("priority", "must be 'interactive', 'default' or 'batch'");
    key.priority = known.value_or(Priority::standard);
  }
  // Last: a key in the place of a name would be quoted.
  for (const auto& [name, value] : item.items()) {
    if (std::find(kKnown.begin(), kKnown.end(), name) != kKnown.end()) continue;
    if (auto error = reader.error()) return error;
    return invalid("'" + path + "' has an unknown setting; known are name, sha256, key, models, requests_per_minute, " +
                   "tokens_per_minute, priority");
  }
  return reader.error();
}

}  // namespace

bool ApiKey::allows(std::string_view model) const {
  return all_models || std::binary_search(models.begin(), models.end(), model);
}

Result<std::vector<ApiKey>> parse_api_keys(std::string_view text) {
  const auto document = parse_json(text);
  if (document.has_error()) return wrap("API keys", document.error());
  JsonReader reader(*document, "");
  if (auto error = reader.error()) return *error;
  if (document->size() != (document->contains("keys") ? 1U : 0U)) return invalid("only 'keys' is known at the top");
  const json* list = reader.array("keys");
  if (auto error = reader.error()) return *error;
  if (list == nullptr || list->empty()) return invalid("'keys' must have at least one key");

  std::vector<ApiKey> keys;
  std::map<std::string, std::size_t, std::less<>> names;
  std::map<KeyDigest, std::size_t> digests;
  for (std::size_t i = 0; i < list->size(); ++i) {
    const std::string path = "keys[" + std::to_string(i) + "]";
    ApiKey key;
    if (auto error = read_key((*list)[i], path, key)) return *error;
    const auto [name, new_name] = names.emplace(key.name, i);
    if (!new_name) return invalid("'" + path + ".name' is that of keys[" + std::to_string(name->second) + "] too");
    const auto [digest, new_digest] = digests.emplace(key.sha256, i);
    if (!new_digest) return invalid("'" + path + "' has the key of keys[" + std::to_string(digest->second) + "] again");
    keys.push_back(std::move(key));
  }
  return keys;
}

std::optional<KeyDigest> shown_key_digest(std::string_view authorization) {
  const auto token = bearer_of(authorization);
  if (!token) return std::nullopt;
  return digest_of(*token);
}

bool same_digest(const KeyDigest& a, const KeyDigest& b) { return CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0; }

std::string sha256_hex(std::string_view text) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string hex;
  for (const unsigned char byte : digest_of(text)) {
    hex += kDigits[byte >> 4U];
    hex += kDigits[byte & 15U];
  }
  return hex;
}

}  // namespace svc::router
