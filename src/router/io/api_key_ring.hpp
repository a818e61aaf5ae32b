// The API keys of one configuration, with their running limits, shared by all data threads.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string_view>
#include <vector>

#include "common/core/clock.hpp"
#include "router/core/api_keys.hpp"
#include "router/core/key_limits.hpp"

namespace svc::router {

/// A key and what it has left (see KeyLimits for the members). Any thread.
class RingKey : public ApiKey {
 public:
  /// `before` (may be null): the key of that name in the configuration before, whose running limits go on.
  RingKey(ApiKey key, const RingKey* before);

  std::optional<double> take_request(TimePoint now);
  std::optional<double> token_wait(TimePoint now);
  void spend_tokens(TimePoint now, std::uint64_t tokens);

 private:
  struct Shared {
    std::mutex lock;
    KeyLimits limits;
  };
  std::shared_ptr<Shared> shared_;
};

/// Immutable but for the limits.
class ApiKeyRing {
 public:
  ApiKeyRing() = default;  ///< no keys: nobody has to show one
  /// `previous` (may be null): running limits are taken over by name.
  ApiKeyRing(std::vector<ApiKey> keys, const ApiKeyRing* previous);

  [[nodiscard]] bool enabled() const { return !keys_.empty(); }
  [[nodiscard]] std::size_t size() const { return keys_.size(); }
  /// `authorization`: value of the field ("Bearer ..."). nullptr: none matches. Always compares all. What is returned
  /// lives as long as the ring.
  [[nodiscard]] RingKey* find(std::string_view authorization) const;

 private:
  std::vector<std::unique_ptr<RingKey>> keys_;
};

}  // namespace svc::router
