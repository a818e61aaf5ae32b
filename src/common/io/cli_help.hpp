// The text of --help.
#pragma once

#include <string>

#include "common/io/cli.hpp"

namespace svc {

/// Every flag with its meaning, bounds, default and environment variable; lines of at most 100 columns.
std::string help_text(const CliSpec& spec, const OptionTable& options);

}  // namespace svc
