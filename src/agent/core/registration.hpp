// The bodies of an agent's calls to the registry: the two registrations of an instance and its heartbeats, exactly as
// the earlier agents sent them, plus optional fields that registries which do not know them drop.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/core/exit_outcome.hpp"
#include "agent/core/service_settings.hpp"
#include "common/core/clock.hpp"
#include "common/core/result.hpp"

namespace svc::agent {

/// What an engine says it serves: the ids, and the full objects as compact JSON.
struct ModelList {
  std::vector<std::string> ids;
  std::string objects_json = "[]";
};
/// An answer to GET /v1/models or /models: {"data":[...]} or a bare array; objects with an id, or strings. nullopt: it
/// is not a model list, or nothing in it can be registered. At most wire::kMaxModels, each id once.
[[nodiscard]] std::optional<ModelList> parse_model_list(std::string_view body);

/// Facts at the moment of a call.
struct InstanceFacts {
  std::string status;                    ///< registry_status()
  std::string started_at;                ///< ISO 8601 UTC
  std::uint16_t engine_port = 0;         ///< the one the engine really took
  std::optional<ExitOutcome> last_exit;  ///< in NAME's metadata: kind, text, and the last lines (bounded to 16 KiB)
  std::int64_t restarts = 0;
  std::string last_exit_at;  ///< ISO 8601 UTC, "" = not known
};

struct InstanceLoad {
  std::optional<std::uint64_t> open_connections, rss_bytes, gpu_memory_bytes;
  std::optional<std::uint64_t> in_flight, queue;  ///< requests that are worked on, and that wait inside the engine
};

// Metadata never exceeds wire::kMaxMetadataBytes: the oldest lines go first, then models_list, then the largest member.
// Bytes that are not UTF-8 become U+FFFD.

/// NAME: the agent's own entry, port+1, "for management": metadata.type is the service type, never "openai-api".
[[nodiscard]] std::string agent_registration(const ServiceSettings& settings, const InstanceFacts& facts);
/// NAME-server: the engine, with models; the settings' metadata is merged in and wins. Where the agent's /health is would
/// be sought in plain HTTP on the port above the engine's: metadata.health_url says it when the engine took another port,
/// or when the pages are HTTPS.
[[nodiscard]] std::string engine_registration(const ServiceSettings& settings, const InstanceFacts& facts,
                                              const ModelList& models);
/// {"status":"running","load":{...}}; load only with what is known.
[[nodiscard]] std::string heartbeat_body(std::string_view status, const InstanceLoad& load);

/// The body of a registration or a heartbeat, saying which registration it is about.
[[nodiscard]] std::string with_generation(std::string body, std::uint64_t generation);
/// What the answer to a registration or a heartbeat says of the present registration; nullopt of a registry that has no
/// generations.
[[nodiscard]] std::optional<std::uint64_t> generation_in(std::string_view answer);

[[nodiscard]] std::string engine_entry_name(std::string_view name);  ///< NAME-server

/// "http://10.0.0.7:5002" or "https://[fd00::7]:5002": where others find the agent's pages.
[[nodiscard]] std::string pages_url(const ServiceSettings& settings);

/// The service is registered at an address that means another machine to everybody else, at a registry that is elsewhere.
[[nodiscard]] bool is_out_of_reach(const ServiceSettings& settings);

}  // namespace svc::agent
