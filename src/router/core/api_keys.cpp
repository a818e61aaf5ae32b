#include "router/core/api_keys.hpp"

#include <openssl/crypto.h>
#include <openssl/sha.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>

#include "common/core/bearer_tokens.hpp"
#include "common/core/json_reader.hpp"

namespace svc::router {
namespace {

using nlohmann::json;
using Digest = std::array<unsigned char, 32>;

constexpr std::size_t kMaxName = 128;
constexpr std::size_t kMaxModel = 256;
constexpr std::size_t kMaxModels = 1024;
constexpr std::size_t kMinKey = 16;
constexpr std::size_t kMaxKey = 256;
constexpr double kMaxPerMinute = 1e12;
constexpr double kMostDebtMinutes = 60;

Digest digest_of(std::string_view text) {
  Digest digest{};
  SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data());
  return digest;
}

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::optional<Digest> digest_in(std::string_view hex) {
  Digest digest{};
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
void read_digest(const json& item, JsonReader& reader, Digest& digest) {
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

std::optional<Error> read_key(const json& item, const std::string& path, ApiKey& key) {
  JsonReader reader(item, path);
  if (auto error = reader.error()) return error;
  constexpr std::array<std::string_view, 7> kKnown = {
      "name", "sha256", "key", "models", "requests_per_minute", "tokens_per_minute", "priority"};
  const std::vector<std::string> priorities = {"interactive", "default", "batch"};
  reader.required("name");
  reader.text("name", key.name, {1, kMaxName});
  read_digest(item, reader, key.sha256);
  reader.text_list("models", key.models, {1, kMaxModel}, kMaxModels);
  if (given(item, "models")) {
    key.all_models = false;
    // Leaving it out means all; an empty list means neither all nor anything else that one would want.
    if (key.models.empty()) reader.fail("models", "must name a model (leave it out to allow all)");
  }
  std::sort(key.models.begin(), key.models.end());
  reader.number("requests_per_minute", key.requests_per_minute, 0, kMaxPerMinute);
  reader.number("tokens_per_minute", key.tokens_per_minute, 0, kMaxPerMinute);
  reader.choice("priority", key.priority, priorities);
  // Last: a key in the place of a name would be quoted.
  for (const auto& [name, value] : item.items()) {
    if (std::find(kKnown.begin(), kKnown.end(), name) == kKnown.end()) {
      reader.fail("",
                  "has an unknown setting; known are name, sha256, key, models, requests_per_minute, "
                  "tokens_per_minute, priority");
    }
  }
  return reader.error();
}

double seconds_between(TimePoint from, TimePoint to) {
  return to <= from ? 0.0 : std::chrono::duration<double>(to - from).count();
}

/// Refills `left` up to a minute's worth.
void refill(double& left, TimePoint& at, TimePoint now, double per_minute, double capacity) {
  left = std::min(capacity, left + seconds_between(at, now) * per_minute / 60);
  at = std::max(at, now);
}

}  // namespace

bool ApiKey::allows(std::string_view model) const {
  return all_models || std::binary_search(models.begin(), models.end(), model);
}

std::optional<double> ApiKey::take_request(TimePoint now) {
  if (requests_per_minute <= 0) return std::nullopt;
  const double capacity = std::max(1.0, requests_per_minute);
  const std::lock_guard guard(limits_->lock);
  if (!limits_->requests_started) {
    limits_->requests_started = true;
    limits_->requests = capacity;
    limits_->requests_at = now;
  }
  refill(limits_->requests, limits_->requests_at, now, requests_per_minute, capacity);
  // Sixty refills of a sixtieth may be a little less than one.
  constexpr double kRounding = 1e-9;
  if (limits_->requests >= 1 - kRounding) {
    limits_->requests -= 1;
    return std::nullopt;
  }
  return (1 - limits_->requests) * 60 / requests_per_minute;
}

void ApiKey::refill_tokens(TimePoint now) {
  if (!limits_->tokens_started) {
    limits_->tokens_started = true;
    limits_->tokens = tokens_per_minute;
    limits_->tokens_at = now;
  }
  refill(limits_->tokens, limits_->tokens_at, now, tokens_per_minute, tokens_per_minute);
}

std::optional<double> ApiKey::token_wait(TimePoint now) {
  if (tokens_per_minute <= 0) return std::nullopt;
  const std::lock_guard guard(limits_->lock);
  refill_tokens(now);
  if (limits_->tokens >= 0) return std::nullopt;
  return -limits_->tokens * 60 / tokens_per_minute;
}

void ApiKey::spend_tokens(TimePoint now, std::uint64_t tokens) {
  if (tokens_per_minute <= 0) return;
  const std::lock_guard guard(limits_->lock);
  refill_tokens(now);
  const double left = limits_->tokens - static_cast<double>(tokens);
  limits_->tokens = std::max(left, -kMostDebtMinutes * tokens_per_minute);
}

Result<ApiKeys> ApiKeys::parse(std::string_view text, const ApiKeys* previous) {
  const auto document = parse_json(text);
  if (document.has_error()) return wrap("API keys", document.error());
  JsonReader reader(*document, "");
  if (auto error = reader.error()) return *error;
  if (document->size() != (document->contains("keys") ? 1U : 0U)) return invalid("only 'keys' is known at the top");
  const json* list = reader.array("keys");
  if (auto error = reader.error()) return *error;
  if (list == nullptr || list->empty()) return invalid("'keys' must have at least one key");

  ApiKeys keys;
  std::map<std::string, std::size_t, std::less<>> names;
  std::map<Digest, std::size_t> digests;
  for (std::size_t i = 0; i < list->size(); ++i) {
    const std::string path = "keys[" + std::to_string(i) + "]";
    auto key = std::make_unique<ApiKey>();
    if (auto error = read_key((*list)[i], path, *key)) return *error;
    const auto [name, new_name] = names.emplace(key->name, i);
    if (!new_name) return invalid("'" + path + ".name' is that of keys[" + std::to_string(name->second) + "] too");
    const auto [digest, new_digest] = digests.emplace(key->sha256, i);
    if (!new_digest) return invalid("'" + path + "' has the key of keys[" + std::to_string(digest->second) + "] again");
    if (previous != nullptr) {
      const auto before = std::find_if(previous->keys_.begin(), previous->keys_.end(),
                                       [&](const auto& old) { return old->name == key->name; });
      if (before != previous->keys_.end()) key->limits_ = (*before)->limits_;
    }
    keys.keys_.push_back(std::move(key));
  }
  keys.enabled_ = true;
  return keys;
}

ApiKey* ApiKeys::find(std::string_view authorization) const {
  const auto token = bearer_of(authorization);
  if (!token) return nullptr;
  const Digest digest = digest_of(*token);
  // No early exit: which key matched must not show in the time taken.
  ApiKey* found = nullptr;
  for (const auto& key : keys_) {
    const bool same = CRYPTO_memcmp(key->sha256.data(), digest.data(), digest.size()) == 0;
    if (same) found = key.get();
  }
  return found;
}

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
