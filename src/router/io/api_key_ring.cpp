#include "router/io/api_key_ring.hpp"

#include <algorithm>
#include <utility>

namespace svc::router {

RingKey::RingKey(ApiKey key, const RingKey* before)
    : ApiKey(std::move(key)), shared_(before != nullptr ? before->shared_ : std::make_shared<Shared>()) {}

std::optional<double> RingKey::take_request(TimePoint now) {
  if (requests_per_minute <= 0) return std::nullopt;
  const std::lock_guard guard(shared_->lock);
  return shared_->limits.take_request(now, requests_per_minute);
}

std::optional<double> RingKey::token_wait(TimePoint now) {
  if (tokens_per_minute <= 0) return std::nullopt;
  const std::lock_guard guard(shared_->lock);
  return shared_->limits.token_wait(now, tokens_per_minute);
}

void RingKey::spend_tokens(TimePoint now, std::uint64_t tokens) {
  if (tokens_per_minute <= 0) return;
  const std::lock_guard guard(shared_->lock);
  shared_->limits.spend_tokens(now, tokens_per_minute, tokens);
}

ApiKeyRing::ApiKeyRing(std::vector<ApiKey> keys, const ApiKeyRing* previous) {
  keys_.reserve(keys.size());
  for (ApiKey& key : keys) {
    const RingKey* before = nullptr;
    if (previous != nullptr) {
      const auto found = std::find_if(previous->keys_.begin(), previous->keys_.end(),
                                      [&](const auto& old) { return old->name == key.name; });
      if (found != previous->keys_.end()) before = found->get();
    }
    keys_.push_back(std::make_unique<RingKey>(std::move(key), before));
  }
}

RingKey* ApiKeyRing::find(std::string_view authorization) const {
  const auto digest = shown_key_digest(authorization);
  if (!digest) return nullptr;
  // No early exit: which key matched must not show in the time taken.
  RingKey* found = nullptr;
  for (const auto& key : keys_) {
    if (same_digest(key->sha256, *digest)) found = key.get();
  }
  return found;
}

}  // namespace svc::router
