#pragma once

#include <optional>

#include "bench/load/options.hpp"

namespace svc::load {

/// Fills `options`. A value: the program ends with it, all is said (help, or what is wrong: 2).
std::optional<int> read_command_line(int argc, char** argv, Options& options);

}  // namespace svc::load
