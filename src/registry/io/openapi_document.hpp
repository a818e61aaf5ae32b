// openapi.json, the description of the HTTP API, as a text in the binary.
#pragma once

#include <string_view>

namespace svc::registry {

/// The file without its line ends and indentation; defined in a source that CMake writes. Holds kVersionPlaceholder once.
extern const std::string_view kOpenApiDocument;

inline constexpr std::string_view kVersionPlaceholder = "%VERSION%";

}  // namespace svc::registry
