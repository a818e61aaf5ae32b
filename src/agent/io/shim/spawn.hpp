// fork and exec of one rank. Everything is built before the fork; the child calls only async-signal-safe functions.
#pragma once

#include <sys/types.h>

#include "agent/core/command_line.hpp"
#include "common/core/result.hpp"

namespace svc::agent {

struct SpawnedRank {
  pid_t pid = -1;
  int output = -1;  ///< read end of stdout (non-blocking, CLOEXEC); the caller closes it
  int errors = -1;  ///< of stderr
};

struct SpawnFailure {
  int error = 0;        ///< errno
  std::string message;  ///< one sentence: what was tried, on which path, and why it failed
};

/// Starts `command` in a new session, stdin from /dev/null, all other descriptors closed, default signals and mask,
/// dying with SIGKILL when the calling thread ends (the main thread's end is the process's), in `cgroup_procs` when that is not "" (path of a
/// cgroup.procs file). The program is looked up in the PATH of the new environment when it has no '/', and relative to
/// work_dir when it has one and is relative. An error of chdir or exec comes back here, not as an exit code.
/// Single-threaded callers only.
[[nodiscard]] bool spawn_rank(const RankCommand& command, const std::string& cgroup_procs, SpawnedRank& rank,
                              SpawnFailure& failure);

}  // namespace svc::agent
