// Clients' API keys: who may use which model, and how much a minute. Only hashes are kept; comparing takes the same
// time for every key. The file is JSON:
//   {"keys": [{"name": "team-a", "sha256": "<64 hex digits of the key's SHA-256>", "models": ["qwen3-32b"],
//              "requests_per_minute": 600, "tokens_per_minute": 200000, "priority": "interactive"}]}
// `models` absent or null: all; an empty list is an error. Limits absent or 0: none. `key` instead of `sha256` gives
// the key itself (discouraged).
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/core/result.hpp"
#include "common/core/token_bucket.hpp"
#include "router/core/failure_reason.hpp"

namespace svc::router {

/// One key with its running limits. The limits survive a reload of the file (by name).
class ApiKey {
 public:
  std::string name;
  std::array<unsigned char, 32> sha256{};
  std::vector<std::string> models;  ///< sorted; empty when all_models
  bool all_models = true;
  std::string priority = "default";  ///< "interactive", "default" or "batch"
  double requests_per_minute = 0;
  double tokens_per_minute = 0;

  [[nodiscard]] bool allows(std::string_view model) const;
  /// nullopt: allowed, one request counted. Else the seconds until it would be. A minute's worth may come at once.
  std::optional<double> take_request(TimePoint now);
  /// Tokens are known only when they have been used: a key in debt waits until it is out of it (an hour at most).
  std::optional<double> token_wait(TimePoint now);
  void spend_tokens(TimePoint now, std::uint64_t tokens);

 private:
  friend class ApiKeys;
  struct Limits {
    std::mutex lock;
    double requests = 0, tokens = 0;  // left
    TimePoint requests_at{}, tokens_at{};
    bool requests_started = false, tokens_started = false;
  };
  void refill_tokens(TimePoint now);
  std::shared_ptr<Limits> limits_ = std::make_shared<Limits>();
};

class ApiKeys {
 public:
  ApiKeys() = default;  ///< no keys: nobody has to show one
  /// Errors name the path ("keys[2].sha256") and never quote a key. No key at all, a name or hash that comes twice:
  /// error. `previous` (may be null): running limits are taken over by name.
  static Result<ApiKeys> parse(std::string_view json, const ApiKeys* previous);

  [[nodiscard]] bool enabled() const { return enabled_; }
  [[nodiscard]] std::size_t size() const { return keys_.size(); }
  /// `authorization`: value of the field ("Bearer ..."). nullptr: none matches. Always compares all.
  [[nodiscard]] ApiKey* find(std::string_view authorization) const;
  [[nodiscard]] const std::vector<std::unique_ptr<ApiKey>>& all() const { return keys_; }

 private:
  bool enabled_ = false;
  std::vector<std::unique_ptr<ApiKey>> keys_;
};

/// 64 lower-case hex digits, for `infinilm-router --hash-key`.
[[nodiscard]] std::string sha256_hex(std::string_view text);

}  // namespace svc::router
