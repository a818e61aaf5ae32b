#include "agent/core/exit_outcome.hpp"

#include <sys/wait.h>

#include <csignal>
#include <cstring>
#include <system_error>

namespace svc::agent {
namespace {

std::string signal_text(int signal) {
  std::string text = "signal " + std::to_string(signal);
  if (const char* name = sigabbrev_np(signal)) text.append(" (SIG").append(name).append(")");
  return text;
}

std::string start_failure_text(int error) {
  return error == 0 ? "cannot be executed" : "cannot be executed: " + std::generic_category().message(error);
}

std::string reason_of(const ExitOutcome& outcome) {
  switch (outcome.kind) {
    case ExitKind::exited: return "exit code " + std::to_string(outcome.value);
    case ExitKind::signalled: return signal_text(outcome.value);
    case ExitKind::out_of_memory: return "killed by the kernel: out of memory";
    case ExitKind::start_failed: return start_failure_text(outcome.value);
    case ExitKind::start_timeout: return "not ready within the start time-out";
    case ExitKind::hung: return "hung: no answer to its liveness probes";
    case ExitKind::stopped: return "stopped";
    case ExitKind::lost: return "lost: the process that watched it has died";
  }
  return "";
}

}  // namespace

ExitOutcome classify_exit(int wait_status, bool oom_killed) {
  ExitOutcome outcome;
  if (WIFEXITED(wait_status)) {
    outcome.value = WEXITSTATUS(wait_status);
  } else if (WIFSIGNALED(wait_status)) {
    outcome.value = WTERMSIG(wait_status);
    outcome.kind = outcome.value == SIGKILL && oom_killed ? ExitKind::out_of_memory : ExitKind::signalled;
    outcome.core_dumped = WCOREDUMP(wait_status);
  } else {
    outcome.kind = ExitKind::lost;
  }
  return outcome;
}

void OomWatch::look(TimePoint now, std::uint64_t count) {
  if (now < next_) return;
  older_ = newer_;
  newer_ = count;
  next_ = now + kStep;
}

std::string_view word_of(ExitKind kind) {
  switch (kind) {
    case ExitKind::exited: return "exit_code";
    case ExitKind::signalled: return "signal";
    case ExitKind::out_of_memory: return "out_of_memory";
    case ExitKind::start_failed: return "start_failed";
    case ExitKind::start_timeout: return "start_timeout";
    case ExitKind::hung: return "hang";
    case ExitKind::stopped: return "stopped";
    case ExitKind::lost: return "lost";
  }
  return "";
}

std::string text_of(const ExitOutcome& outcome) {
  std::string text = reason_of(outcome);
  if (outcome.core_dumped) text += ", core dumped";
  if (outcome.rank > 0) text += ", rank " + std::to_string(outcome.rank);
  return text;
}

}  // namespace svc::agent
