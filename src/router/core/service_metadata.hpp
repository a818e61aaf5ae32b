// What the router reads out of a service's metadata, wherever the record comes from; and the few lenient reads of JSON
// that records of other people's making need.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "router/core/upstream.hpp"

namespace svc::router {

/// A string at the key; "" when there is none.
[[nodiscard]] std::string text_at(const nlohmann::json& object, const char* key);
/// A whole number from lo to hi, as a number or as digits; nullopt otherwise.
[[nodiscard]] std::optional<std::int64_t> whole_at(const nlohmann::json& object, const char* key, std::int64_t lo,
                                                   std::int64_t hi);
/// A finite number above 0, as a number or as text; nullopt otherwise.
[[nodiscard]] std::optional<double> positive_at(const nlohmann::json& object, const char* key);
/// The strings of an array, or the `id` of the objects in it; at most 1000, of at most 512 bytes each.
[[nodiscard]] std::vector<std::string> names_at(const nlohmann::json& object, const char* key);

/// Fills metadata_json, cache_type, max_concurrency, kv_cache_tokens (kv_cache_tokens, else num_blocks x block_size),
/// prefill_rate (prefill_tokens_per_second; at most 1e9), agent_on_next_port, and the models: metadata.models, else the ids
/// of metadata.models_list, else what `spec` has, else metadata.model, which is only a hint (models_stated stays
/// false). `metadata` may be anything; what is no object counts as {}.
void take_metadata(UpstreamSpec& spec, const nlohmann::json& metadata);

/// Endpoint, tls and url out of host, port and the stated url ("" = none): an https url is where the instance is, else
/// host and port are. False: the host is not valid.
[[nodiscard]] bool take_address(UpstreamSpec& spec, std::string host, std::uint16_t port, const std::string& url);

}  // namespace svc::router
