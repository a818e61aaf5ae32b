// The file that generate-config writes.
#pragma once

#include <string>
#include <string_view>

#include "common/core/result.hpp"

namespace svc::ctl {

/// Replaces the file whole, unless it has this text already; a symbolic link is followed, and the mode of a file that is
/// there stays. True: it was written. Error: why not; the old file is as it was.
[[nodiscard]] Result<bool> write_config(const std::string& path, std::string_view text);

}  // namespace svc::ctl
