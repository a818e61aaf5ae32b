// The registry's wire types: what agents, scripts and routers send to and read from `infinilm-registry`.
//
// Pure: text in, values out, values in, text out. Validation of single fields lives here and nowhere else; rules that
// need the whole fleet (limits, conflicts, leases) live in registry/core. Every error is Errc::invalid_argument with
// a message that may be shown to the client as it is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/core/clock.hpp"
#include "common/core/endpoint.hpp"
#include "common/core/result.hpp"

namespace svc::wire {

inline constexpr std::size_t kMaxNameBytes = 253;
inline constexpr std::size_t kMaxHostBytes = 253;
inline constexpr std::size_t kMaxFieldBytes = 1024;  ///< hostname, url
inline constexpr std::size_t kMaxStatusBytes = 64;
inline constexpr std::size_t kMaxMetadataBytes = 64 * 1024;
inline constexpr std::size_t kMaxTimestampBytes = 64;
inline constexpr std::size_t kMaxModels = 1000;
inline constexpr std::size_t kMaxModelBytes = 512;
inline constexpr std::int64_t kMaxWeight = 1'000'000;
inline constexpr std::int64_t kMaxMaxFails = 1'000'000;
inline constexpr std::size_t kMaxJsonDepth = 32;

inline constexpr std::string_view kStatusRunning = "running";
inline constexpr std::string_view kTypeOpenAiApi = "openai-api";

/// A registration as the client states it, defaults filled in. Durable: this is what survives a restart.
struct ServiceSpec {
  std::string name;
  std::string host;
  std::uint16_t port = 0;
  std::string hostname;
  std::string url;
  std::string status;
  std::string timestamp;             ///< as sent, else the time of the registration (ISO 8601 UTC)
  std::string metadata_json = "{}";  ///< compact JSON object
  std::int64_t weight = 1;           ///< 0..1'000'000; 0 = takes no new work
  std::int64_t max_fails = 3;        ///< consecutive failures until unhealthy; 0 = probes never make it unhealthy
  bool max_fails_given = false;      ///< false: the registry's own threshold applies
  Duration fail_timeout{std::chrono::seconds(30)};
  bool backup = false;
  std::vector<std::string> models;             ///< as sent; empty when the client sent none
  std::optional<Duration> heartbeat_interval;  ///< makes the lease three of these, at least 5 s
  std::optional<Duration> remove_after;        ///< overrides the registry's removal time-out for this service

  bool operator==(const ServiceSpec&) const = default;
};

/// What the registry itself reads out of `metadata`.
struct MetadataFacts {
  std::string type;                 ///< metadata.type, "" when absent
  std::string health_url;           ///< metadata.health_url, "" when absent
  std::vector<std::string> models;  ///< metadata.models, else the ids of metadata.models_list
};

/// Fields of an update that were present in the request; the rest stay as they are.
struct ServicePatch {
  std::optional<std::string> host, hostname, url, status, metadata_json;
  std::optional<std::uint16_t> port;
  std::optional<std::int64_t> weight, max_fails;
  std::optional<Duration> fail_timeout, heartbeat_interval, remove_after;
  std::optional<bool> backup;
  std::optional<std::vector<std::string>> models;
  /// Changes nothing: the registration that the sender takes for the present one.
  std::optional<std::uint64_t> generation;

  bool empty() const;
};

struct HeartbeatRequest {
  std::optional<std::string> status;
  std::optional<std::uint64_t> generation;  ///< fences an earlier owner of the name
};

/// host and port; an IPv6 host that was registered in brackets loses them.
Endpoint endpoint_of(const ServiceSpec& spec);

/// The models a service offers: what it registered, else what its metadata says.
inline const std::vector<std::string>& models_of(const ServiceSpec& spec, const MetadataFacts& facts) {
  return spec.models.empty() ? facts.models : spec.models;
}

/// POST /services. `now` fills an absent timestamp. Messages: "Invalid JSON" (with a `cause` that says where) and
/// "Missing required field: F" exactly as existing clients expect; the first missing of name, host, port, hostname, url,
/// status is named. A port may be a number or a string of digits, fail_timeout a number of seconds or "30s".
/// Unknown fields are dropped; null counts as absent, and metadata null as {}. Whether an address may be registered at all
/// (AddressPolicy) is the caller's question. `generation` gets the field of that name, of an owner that registers anew.
Result<ServiceSpec> parse_registration(std::string_view body, WallTime now,
                                       std::optional<std::uint64_t>* generation = nullptr);

/// PUT /services/{name}. `name` in the body is ignored, metadata is replaced whole.
Result<ServicePatch> parse_update(std::string_view body);

/// POST /services/{name}/heartbeat. A body that is absent or not JSON is an empty request, as it always was.
HeartbeatRequest parse_heartbeat(std::string_view body);

ServiceSpec patched(ServiceSpec spec, const ServicePatch& patch);

/// Reads the few metadata keys that matter to the registry; anything of an unexpected type counts as absent.
MetadataFacts facts_of(std::string_view metadata_json);

/// 1 to kMaxNameBytes bytes; no control characters, no invalid UTF-8. Names outside A-Za-z0-9._- are legal and
/// travel percent-encoded in paths.
std::optional<std::string> name_problem(std::string_view name);

/// Of a `url` or `metadata.health_url`: what is wrong with it, to be put behind its name ("must be ..."); nullopt when it
/// can be registered.
std::optional<std::string> url_problem(std::string_view url);

/// The part of a Service object that only a registration or an update changes, as JSON without the closing brace:
/// {"name":..,"host":..,"port":..,"hostname":..,"url":..,"status":..,"timestamp":..,"metadata":{..},"weight":..,
/// "max_fails":..,"fail_timeout":"30s","backup":..,"models":[..]. `models` = spec.models, else facts.models.
std::string static_service_json(const ServiceSpec& spec, const MetadataFacts& facts);

/// Storage form of a spec: JSON with a version field; decode accepts every version ever written.
std::string encode_spec(const ServiceSpec& spec);
Result<ServiceSpec> decode_spec(std::string_view text);

}  // namespace svc::wire
