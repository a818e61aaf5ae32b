// The limit of open files.
#pragma once

#include <cstdint>

#include "common/core/result.hpp"

namespace svc {

/// Raises the soft limit of open files to the hard one and returns the limit in force (UINT64_MAX = none). Every
/// connection is a file; the usual soft limit of 1024 is for programs that use select(2). An error is no reason not to
/// start.
Result<std::uint64_t> raise_open_file_limit();

}  // namespace svc
