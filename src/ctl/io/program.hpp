// Running another program to its end, for what it prints.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "common/core/clock.hpp"
#include "common/core/result.hpp"

namespace svc::ctl {

struct ProgramEnd {
  int exit_code = 0;   ///< 128 + the signal when one ended it
  std::string output;  ///< at most kMostBytes of each; the rest is dropped
  std::string errors;  ///< what it said on stderr

  static constexpr std::size_t kMostBytes = std::size_t{64} * 1024 * 1024;
};

/// Where a program of this project is: beside the running one, else the first in PATH; "" when it is in neither.
[[nodiscard]] std::string sibling_program(const std::string& name);

/// argv[0] is the path. It inherits the environment, is run in `folder` ("" = this one), and has nothing to read. Blocks
/// until it has ended; after `limit` it is killed. Errors: it cannot be started; timed_out.
[[nodiscard]] Result<ProgramEnd> run_program(const std::vector<std::string>& argv, const std::string& folder = "",
                                             Duration limit = std::chrono::seconds(30));

/// Several at the same time, in the order of `commands`.
[[nodiscard]] std::vector<Result<ProgramEnd>> run_programs(const std::vector<std::vector<std::string>>& commands,
                                                           const std::string& folder = "",
                                                           Duration limit = std::chrono::seconds(30));

/// What a daemon said about why it ended: its first sentence without its own name; else how it ended.
[[nodiscard]] std::string reason_of(const ProgramEnd& end);
/// All its sentences, "; " between them.
[[nodiscard]] std::string reasons_of(const ProgramEnd& end);

}  // namespace svc::ctl
