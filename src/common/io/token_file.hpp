// The one bearer token that this process shows to somebody else.
#pragma once

#include <string>

#include "common/core/result.hpp"

namespace svc {

/// The first word of the first line that is neither blank nor a comment ('#'): a file with the token alone, or a line
/// of a registry's own token file. "" for the path gives "". Errors name the file and never show its text: it cannot be
/// read, there is no token in it, the token is not 1 to 4096 visible ASCII characters. Blocks: for the start and for
/// SIGHUP.
[[nodiscard]] Result<std::string> read_token_file(const std::string& path);

}  // namespace svc
