// TOML 1.0 as JSON values, for configuration files that are written in it.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "common/core/result.hpp"

namespace svc {

/// The tables as objects; dates and times become text as TOML prints them. Errors: "NAME:LINE:COLUMN: REASON" with the
/// text's own faults, and with inf and nan, which JSON does not have.
[[nodiscard]] Result<nlohmann::json> parse_toml(std::string_view text, const std::string& name);

}  // namespace svc
