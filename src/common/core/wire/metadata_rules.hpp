// What a registry accepts as the metadata of a service, for those who write it into files.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "common/core/result.hpp"
#include "common/core/wire/registry_api.hpp"

namespace svc::wire {

inline constexpr std::size_t kMaxMetadataDepth = kMaxJsonDepth - 1;  ///< it is registered inside an object

/// The metadata of a settings file, as a registry will judge it. `path`: where it stands, for the message: "metadata",
/// "services[1].metadata". Error: client's, "'metadata.health_url' must be ...".
[[nodiscard]] Result<void> check_metadata(const nlohmann::json& metadata, const std::string& path);

}  // namespace svc::wire
