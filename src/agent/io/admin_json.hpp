// The JSON of the agent's pages. Compact; what is not known or does not apply is null.
#pragma once

#include <string>

#include "agent/io/instance_view.hpp"

namespace svc::agent {

/// `status` is the word of the answer; the rest is as the earlier agents had it.
[[nodiscard]] std::string health_json(const InstanceView& view, std::string_view status, WallTime now);
[[nodiscard]] std::string info_json(const ServiceSettings& settings, const InstanceView& view, WallTime now);
[[nodiscard]] std::string status_json(const InstanceView& view, WallTime now);

}  // namespace svc::agent
