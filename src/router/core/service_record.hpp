// Records of services, as registries list them, as configuration files state them and as the view on disk keeps them,
// to and from UpstreamSpec.
#pragma once

#include <cstddef>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/core/result.hpp"
#include "router/core/upstream.hpp"

namespace svc::router {

/// What a registry lists under one name.
struct ServiceRecord {
  std::string name;
  std::optional<UpstreamSpec> spec;  ///< nullopt: nothing to route to (an agent's own entry, another type of service)
};

/// Reads an entry of a registry's list: the original ones' and ours. Routed to is metadata.type "openai-api", and no
/// type at all when models are stated; is_healthy counts as true when absent. Fields of an unexpected kind that only
/// tune something (weight, max_fails, ...) are passed over. Error: no usable name, host or port.
[[nodiscard]] Result<ServiceRecord> read_service_record(const nlohmann::json& entry);

/// A registry's answer: {"services":[...]}, or our registry's {"changes":[...]}.
struct RegistryAnswer {
  struct Change {
    std::uint64_t revision = 0;
    std::string name;
    bool tells = false;                ///< the last one of its name: says how the service is now
    std::optional<UpstreamSpec> spec;  ///< nullopt: gone, or nothing to route to
  };
  bool is_list = false;
  std::vector<UpstreamSpec> specs;  ///< of a list
  std::vector<Change> changes;      ///< otherwise
  std::optional<std::uint64_t> revision;
  std::string epoch;
  bool warming = false;
  std::size_t unreadable = 0;     ///< entries that were passed over
  std::string unreadable_reason;  ///< of the first one, with its name
};
/// Error: not JSON, or neither of the two. Single entries that cannot be read are counted and passed over.
[[nodiscard]] Result<RegistryAnswer> read_registry_answer(std::string_view body);

/// Items of a static services file or section.
struct StaticServices {
  std::vector<UpstreamSpec> specs;
  std::vector<std::string> without_weight;  ///< names of those that state no weight, or 0
};
/// `services`: the array; `path`: where it stands, for messages ("static_services.services"). host and port are
/// required, the name is service_K (from 1) when absent. Unknown keys are errors, except comments (keys that begin with
/// '_' or '$').
[[nodiscard]] Result<StaticServices> read_static_services(const nlohmann::json& services, const std::string& path);

/// The array of services in a static services file, or nullptr: {"services":[...]},
/// {"static_services":{"services":[...]}}, {"static_services":[...]}, or the array itself.
[[nodiscard]] const nlohmann::json* find_static_services(const nlohmann::json& file);

/// The view on disk, one JSON object.
struct KeptView {
  std::string registry_url;
  std::int64_t saved_at_us = 0;  ///< microseconds since 1970
  std::vector<UpstreamSpec> specs;
};
[[nodiscard]] std::string encode_view(const KeptView& view);
[[nodiscard]] Result<KeptView> decode_view(std::string_view text);

}  // namespace svc::router
