// What an entry of a services file means for the settings of its service.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "agent/core/service_settings.hpp"
#include "common/core/services_file.hpp"

namespace svc::agent {

/// Puts what the entry states over `settings`; metadata key by key.
void apply_entry(const ServiceEntry& entry, ServiceSettings& settings);

/// Where the entry's settings may be, best first, when it names no `config`: {name}.toml and service.toml in `folder`.
[[nodiscard]] std::vector<std::string> settings_files(const ServiceEntry& entry, const std::string& folder);

/// Two compact JSON objects as one; the keys of `over` win.
[[nodiscard]] std::string merged_metadata(std::string_view base, std::string_view over);

}  // namespace svc::agent
