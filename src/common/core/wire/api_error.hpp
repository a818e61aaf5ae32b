// The JSON body of every error that a management endpoint answers; the same shape in all daemons.
#pragma once

#include <string>
#include <string_view>

namespace svc {

/// {"error":"message"}
[[nodiscard]] std::string error_body(std::string_view message);
/// {"error":"message","detail":"detail"}
[[nodiscard]] std::string error_body(std::string_view message, std::string_view detail);

}  // namespace svc
