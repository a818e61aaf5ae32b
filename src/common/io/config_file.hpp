// Reads a daemon's configuration file: a JSON object with one section per part, {"registry": {...}, "servers": [...]}, or
// the same in TOML when the file's name ends in .toml.
#pragma once

#include <cstddef>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <string_view>

#include "common/core/result.hpp"

namespace svc {

inline constexpr std::size_t kMaxConfigBytes = 4 * 1024 * 1024;

/// Errors: "PATH: REASON" (cannot be read, larger than 4 MiB, not an object) and "PATH:LINE:COLUMN: REASON" (not JSON, not
/// TOML).
/// Blocks while it reads: for the start and for SIGHUP.
Result<nlohmann::json> read_config_file(const std::string& path);

[[nodiscard]] bool is_toml_name(std::string_view path);

/// The same for a file that may hold any JSON value.
Result<nlohmann::json> read_json_file(const std::string& path);

/// Are all top-level keys of `file` among `sections`? Keys that begin with '_' or '$' are comments and always allowed.
/// Error: "PATH: unknown section 'registy'; did you mean 'registry'?"
Result<void> check_sections(const nlohmann::json& file, const std::string& path,
                            std::span<const std::string_view> sections);

}  // namespace svc
