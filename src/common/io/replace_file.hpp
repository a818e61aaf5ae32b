// Writing a file whole or not at all.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>

#include "common/core/result.hpp"

namespace svc {

/// A crash, a full disk or a reader at any moment meets the old file or the new one, never half of one. It is written as
/// PATH.PID.N.new first, so the folder must be writable, and writers that share it, threads or processes, do not meet; a
/// symbolic link at `path` is replaced, not followed. `mode` is that of the new file, less the umask. Blocks until it is
/// on the disk. Error: "cannot write 'PATH'", with the system's reason as its cause.
[[nodiscard]] Result<void> replace_file(const std::string& path, std::string_view text, ::mode_t mode = 0644);

}  // namespace svc
