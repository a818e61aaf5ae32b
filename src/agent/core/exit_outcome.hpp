// Why an engine's process ended, as a closed set with a text for people and a word for machines.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace svc::agent {

enum class ExitKind : std::uint8_t {
  exited,         ///< by itself, with `value` as exit code
  signalled,      ///< by a signal that the agent did not send, `value`
  out_of_memory,  ///< SIGKILL by the kernel's OOM killer
  start_failed,   ///< could not be executed; `value` is errno
  start_timeout,  ///< not ready within startup_timeout
  hung,           ///< liveness was lost
  stopped,        ///< the agent wanted it
  lost,           ///< its shim died
};

struct ExitOutcome {
  ExitKind kind = ExitKind::exited;
  int value = 0;
  bool core_dumped = false;
  int rank = 0;
  std::vector<std::string> last_lines;  ///< of the engine's output, at most 20

  /// Does it count against the start limit? All but `stopped` do, also exit code 0: a service is not meant to end.
  [[nodiscard]] bool is_failure() const { return kind != ExitKind::stopped; }
};

/// From waitpid's status; one that tells of no end at all is `lost`. `oom_kills_grew`: the kernel's counter of OOM
/// kills is higher than at the start.
[[nodiscard]] ExitOutcome classify_exit(int wait_status, bool oom_kills_grew);

/// "exit_code", "signal", "out_of_memory", "start_failed", "start_timeout", "hang", "stopped", "lost": stable words.
[[nodiscard]] std::string_view word_of(ExitKind kind);
/// "exit code 3", "signal 9 (SIGKILL)", "killed by the kernel: out of memory", "cannot be executed: No such file or
/// directory", "not ready within the start time-out", "hung: no answer to its liveness probes", ... ; ", core dumped"
/// and ", rank 2" where they apply (rank only above 0).
[[nodiscard]] std::string text_of(const ExitOutcome& outcome);

}  // namespace svc::agent
