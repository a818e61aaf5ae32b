// The address of a registry, as people give it.
#pragma once

#include <string>
#include <string_view>

#include "common/core/result.hpp"

namespace svc {

/// "http://h:1/services/" and "http://h:1/" both mean the registry at http://h:1: without the ending '/' and "/services".
/// Error: client's; no http or https URL, or one with a query. To be put behind the setting's name.
[[nodiscard]] Result<std::string> registry_base(std::string_view text);

}  // namespace svc
