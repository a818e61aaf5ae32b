// Reads /proc: the processes below one. Also used by the agent, for memory and for strays.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/core/process_tree.hpp"

namespace svc {

/// All processes, zombies included; one pass over /proc, about 10 us each. What ends while it is read is left out.
[[nodiscard]] std::vector<ProcessFacts> scan_processes();

/// Descendants of `root`, zombies included: descendants_of() of such a pass.
[[nodiscard]] std::vector<ProcessFacts> scan_descendants(pid_t root);

/// One process as it is now; nullopt: there is none with this pid.
[[nodiscard]] std::optional<ProcessFacts> facts_of(pid_t pid);

/// SIGKILL (or another signal) to exactly this process: by pidfd, with its start time checked, so that a pid that was
/// used again is never hit. False: it is gone.
bool signal_process(const ProcessFacts& process, int signal);

/// The text of a small file of /proc or /sys; "" when it cannot be read.
[[nodiscard]] std::string read_small_file(const std::string& path);

/// Writes a file of /proc or /sys. False: it could not be.
bool write_small_file(const std::string& path, std::string_view text);

}  // namespace svc
