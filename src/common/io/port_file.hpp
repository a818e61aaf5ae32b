// Tells scripts and tests which port a daemon took when it was started with port 0.
#pragma once

#include <cstdint>
#include <string>

#include "common/core/result.hpp"

namespace svc {

/// Writes "PORT\n" under another name and renames it, so that a reader never sees half of it. "" = nowhere. Blocks.
Result<void> write_port_file(const std::string& path, std::uint16_t port);

}  // namespace svc
