// Where generate-config has its instances and settings from: a registry's list, a file of services, and the router's
// settings as it prints them. The forms are those that the router reads (docs/configuration.md).
#pragma once

#include <cstddef>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "common/core/result.hpp"
#include "ctl/core/proxy_config.hpp"

namespace svc::ctl {

struct ProxyCandidates {
  std::vector<ProxyUpstream> upstreams;
  std::vector<std::string> left_out;  ///< services that could be meant and are not taken; a sentence each
  std::string note;                   ///< what is unusual about where they are from; "" = nothing
};

/// A registry's GET /services?healthy=true, ours or an original one: those that run, are healthy, and offer an OpenAI API
/// (metadata.type "openai-api", or no type and a stated model). Agents' own entries are passed over in silence. Error: no
/// such list.
[[nodiscard]] Result<ProxyCandidates> registered_upstreams(std::string_view body);

/// A file of services: {"static_services":{"services":[...]}}, {"services":[...]} (also an agent's services file) or the
/// list itself. Every entry counts as healthy. Error: no such list, or an entry without a usable host and port; the place
/// is named.
[[nodiscard]] Result<ProxyCandidates> static_upstreams(const nlohmann::json& file);

/// `printed`: what infinilm-router --print-config prints.
[[nodiscard]] Result<ProxySettings> proxy_settings(std::string_view printed);

}  // namespace svc::ctl
