// Why an engine's process ended, as a closed set with a text for people and a word for machines.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/core/clock.hpp"

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
inline constexpr std::array kExitKinds{ExitKind::exited,       ExitKind::signalled,     ExitKind::out_of_memory,
                                       ExitKind::start_failed, ExitKind::start_timeout, ExitKind::hung,
                                       ExitKind::stopped,      ExitKind::lost};

struct ExitOutcome {
  ExitKind kind = ExitKind::exited;
  int value = 0;
  bool core_dumped = false;
  int rank = 0;
  std::vector<std::string> last_lines;  ///< of the engine's output, at most 20

  /// Does it count against the start limit? All but `stopped` do, also exit code 0: a service is not meant to end.
  [[nodiscard]] bool is_failure() const { return kind != ExitKind::stopped; }
};

/// From waitpid's status; one that tells of no end at all is `lost`. `oom_killed`: a SIGKILL is taken for the kernel's,
/// for want of memory (its counter has grown of late, and the agent has sent none).
[[nodiscard]] ExitOutcome classify_exit(int wait_status, bool oom_killed);

/// Tells whether the kernel's counter of OOM kills has grown of late: it counts others too, and an old one proves
/// nothing about an engine that ends now.
class OomWatch {
 public:
  OomWatch(TimePoint now, std::uint64_t count) : older_(count), newer_(count), next_(now + kStep) {}
  /// When the counter should be looked at again, if anything happens at all.
  [[nodiscard]] TimePoint look_at() const { return next_; }
  void look(TimePoint now, std::uint64_t count);
  /// Since one or two steps before the last look.
  [[nodiscard]] bool grew(std::uint64_t count) const { return count > older_; }

  static constexpr Duration kStep{std::chrono::seconds(10)};

 private:
  std::uint64_t older_;
  std::uint64_t newer_;
  TimePoint next_;
};

/// "exit_code", "signal", "out_of_memory", "start_failed", "start_timeout", "hang", "stopped", "lost": stable words.
[[nodiscard]] std::string_view word_of(ExitKind kind);
/// "exit code 3", "signal 9 (SIGKILL)", "killed by the kernel: out of memory", "cannot be executed: No such file or
/// directory", "not ready within the start time-out", "hung: no answer to its liveness probes", ... ; ", core dumped"
/// and ", rank 2" where they apply (rank only above 0).
[[nodiscard]] std::string text_of(const ExitOutcome& outcome);

}  // namespace svc::agent
