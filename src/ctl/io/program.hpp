// Running another program to its end, for what it prints.
#pragma once

#include <string>
#include <vector>

#include "common/core/result.hpp"

namespace svc::ctl {

struct ProgramEnd {
  int exit_code = 0;  ///< 128 + the signal when one ended it
  std::string output;
  std::string errors;  ///< what it said on stderr
};

/// Where a program of this project is: beside the running one, else the first in PATH; "" when it is in neither.
[[nodiscard]] std::string sibling_program(const std::string& name);

/// argv[0] is the path. It inherits the environment and the folder, and nothing to read. Blocks until it has ended.
/// Error: it cannot be started.
[[nodiscard]] Result<ProgramEnd> run_program(const std::vector<std::string>& argv);

}  // namespace svc::ctl
