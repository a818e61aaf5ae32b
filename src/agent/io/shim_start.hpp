// fork and exec of a shim.
#pragma once

#include <sys/types.h>

#include <string>

#include "common/core/result.hpp"
#include "common/io/unique_fd.hpp"

namespace svc::agent {

struct StartedShim {
  pid_t pid = 0;
  UniqueFd connection;  ///< SOCK_SEQPACKET, non-blocking
};

/// This program again (/proc/self/exe: the very file that runs, also after an upgrade), as "infinilm-agent: NAME".
/// `lock` is the run's lock, taken; the shim gets a copy of the descriptor. The soft limit of open files is the one
/// that this process started with, for the engine's sake. The caller reaps the child. Safe in a process with threads.
Result<StartedShim> start_shim(const std::string& name, int lock);

}  // namespace svc::agent
