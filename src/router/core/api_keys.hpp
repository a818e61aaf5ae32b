// Clients' API keys: who may use which model, and how much a minute. Only hashes are kept; comparing takes the same
// time for every key. The file is JSON:
//   {"keys": [{"name": "team-a", "sha256": "<64 hex digits of the key's SHA-256>", "models": ["qwen3-32b"],
//              "requests_per_minute": 600, "tokens_per_minute": 200000, "priority": "interactive"}]}
// `models` absent or null: all; an empty list is an error. Limits absent or 0: none. `key` instead of `sha256` gives
// the key itself (discouraged).
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/core/result.hpp"
#include "router/core/wait_order.hpp"

namespace svc::router {

using KeyDigest = std::array<unsigned char, 32>;  ///< SHA-256

/// What the file says of one key. Its running limits: io/api_key_ring.hpp.
struct ApiKey {
  std::string name;
  KeyDigest sha256{};
  std::vector<std::string> models;  ///< sorted; empty when all_models
  bool all_models = true;
  double requests_per_minute = 0;
  double tokens_per_minute = 0;
  Priority priority = Priority::standard;  ///< in queues; a request may ask for a lower one

  [[nodiscard]] bool allows(std::string_view model) const;
};

/// At least one key. Errors name the path ("keys[2].sha256") and never quote a key. A name or hash that comes twice:
/// error.
[[nodiscard]] Result<std::vector<ApiKey>> parse_api_keys(std::string_view json);

/// Of the key that a client shows. `authorization`: value of the field ("Bearer ..."). nullopt: it has none.
[[nodiscard]] std::optional<KeyDigest> shown_key_digest(std::string_view authorization);
/// Takes the same time whatever they are.
[[nodiscard]] bool same_digest(const KeyDigest& a, const KeyDigest& b);

/// 64 lower-case hex digits.
[[nodiscard]] std::string sha256_hex(std::string_view text);

}  // namespace svc::router
