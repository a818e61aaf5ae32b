// The last step from what was read to the settings of one service: what follows from others is filled in, all is checked.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "agent/core/service_settings.hpp"
#include "common/core/result.hpp"

namespace svc::agent {

/// For ServiceSettings to be read into: what has not been stated can be told afterwards. The service type is empty, and the
/// weight below 0.
[[nodiscard]] ServiceSettings unstated_service();

/// Errors are one sentence that begins with the setting's name.
[[nodiscard]] Result<ServiceSettings> finish_service(ServiceSettings service);

/// "logs/{name}.agent.log" with the name in place of {name}; an empty one takes the '.' behind it along: "logs/agent.log".
[[nodiscard]] std::string named(std::string file, std::string_view name);

/// The section "metadata" of a file, compact; {} when there is none. nullptr = no file.
[[nodiscard]] std::string metadata_of(const nlohmann::json* file);
[[nodiscard]] Result<void> check_metadata(const nlohmann::json& file);

}  // namespace svc::agent
