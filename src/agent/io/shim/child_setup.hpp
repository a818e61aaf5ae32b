// What a child process does between fork and exec. Everything here is async-signal-safe.
#pragma once

#include <sys/types.h>

namespace svc::agent {

/// Default action for every signal, and none blocked: ignored ones and the mask would outlive exec.
void reset_signals();

/// Closes every descriptor from `first` on.
void close_from(int first);

/// A duplicate of `fd`, close-on-exec, that is at least `lowest`; -1 with errno.
int duplicate_above(int fd, int lowest);

/// What a child tells its parent over a close-on-exec pipe when it could not come to its exec: which step and errno.
struct ChildFailure {
  int step = 0;
  int error = 0;
};

/// Tells it and ends the child.
[[noreturn]] void fail_child(int pipe, int step);

/// The parent's side: false when the exec took place (or the child was killed before it).
[[nodiscard]] bool read_failure(int pipe, ChildFailure& failure);

/// waitpid for exactly this child, until it has ended.
void reap_child(pid_t pid);

}  // namespace svc::agent
