// Reading a file whole.
#pragma once

#include <cstddef>
#include <string>

#include "common/core/result.hpp"

namespace svc {

/// The file's bytes; it may be a pipe, and /proc. Blocks. The error's message is the reason alone ("Is a directory", "No
/// such file or directory", "it is larger than 4 MiB"): which file, and what it is for, is the caller's to say, with wrap().
/// Codes: not_found, too_large, io_error.
[[nodiscard]] Result<std::string> read_file(const std::string& path, std::size_t max_bytes);

/// "" when read_file would begin well, else the reason.
[[nodiscard]] std::string why_unreadable(const std::string& path);

}  // namespace svc
