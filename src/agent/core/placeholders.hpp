// ${NAME} in a text: put in place of it what it stands for.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "common/core/result.hpp"

namespace svc::agent {

using Placeholders = std::map<std::string, std::string, std::less<>>;

/// "$${" is a literal "${"; every other '$' stands for itself. What is put in is not looked at again. Errors: a name that is
/// not among `names` (with the nearest), "${" without "}".
[[nodiscard]] Result<std::string> expand_placeholders(std::string_view text, const Placeholders& names);

}  // namespace svc::agent
