// The forms of an agent's configuration file. Ours has the sections "agent" and "metadata". The earlier agents' TOML is flat:
// name, host, port, registry_url, router_url at the top, the tables [babysitter], [backend], [metadata]; our own further
// settings may stand in its table [agent]. An engine's TOML (InfiniLM-Rust: a table for each model) is a setting of its own:
// that engine, run with that file.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "common/core/option_table.hpp"
#include "common/core/result.hpp"

namespace svc::agent {

/// Brings `file`, an object, into our form: {"agent": {...}, "metadata": {...}}. `path` is where it was read from: only what
/// ends in ".toml" can have the other forms, and an engine's TOML becomes the setting "path". `places` gets the place of each
/// setting that stood elsewhere ("command" -> "backend.command"). Errors name the place as the user wrote it.
[[nodiscard]] Result<void> to_agent_sections(nlohmann::json& file, const std::string& path,
                                             OptionTable::KeyPlaces& places);

}  // namespace svc::agent
