#include "agent/core/exit_outcome.hpp"

#include <gtest/gtest.h>

#include <cerrno>
#include <csignal>

namespace svc::agent {
namespace {

/// As waitpid tells it on Linux: the exit code in the second byte, the signal in the low seven bits, 0x80 for a core.
constexpr int exit_status(int code) { return code << 8U; }
constexpr int kCoreBit = 0x80;

ExitOutcome outcome_of(ExitKind kind, int value = 0, bool core = false, int rank = 0) {
  return ExitOutcome{kind, value, core, rank, {}};
}

TEST(ExitOutcome, Classify_ByWaitStatus) {
  struct Row {
    int status;
    bool oom_killed;
    ExitKind kind;
    int value;
    bool core;
  };
  const Row rows[] = {
      {exit_status(0), false, ExitKind::exited, 0, false},
      {exit_status(3), false, ExitKind::exited, 3, false},
      {exit_status(255), true, ExitKind::exited, 255, false},
      {SIGTERM, false, ExitKind::signalled, SIGTERM, false},
      {SIGKILL, false, ExitKind::signalled, SIGKILL, false},
      {SIGKILL, true, ExitKind::out_of_memory, SIGKILL, false},
      {SIGTERM, true, ExitKind::signalled, SIGTERM, false},
      {SIGSEGV | kCoreBit, false, ExitKind::signalled, SIGSEGV, true},
      {SIGABRT | kCoreBit, true, ExitKind::signalled, SIGABRT, true},
      {0xffff, false, ExitKind::lost, 0, false},                  // continued: no end at all
      {(SIGSTOP << 8U) | 0x7f, false, ExitKind::lost, 0, false},  // stopped: likewise
  };
  for (const auto& row : rows) {
    const auto got = classify_exit(row.status, row.oom_killed);
    EXPECT_EQ(got.kind, row.kind) << row.status;
    EXPECT_EQ(got.value, row.value) << row.status;
    EXPECT_EQ(got.core_dumped, row.core) << row.status;
    EXPECT_EQ(got.rank, 0);
    EXPECT_TRUE(got.is_failure()) << row.status;
  }
}

TEST(ExitOutcome, Classify_EverySignalIsNamedByItsNumber) {
  for (int signal = 1; signal < SIGRTMAX; ++signal) {
    const auto got = classify_exit(signal, false);
    EXPECT_EQ(got.kind, ExitKind::signalled);
    EXPECT_EQ(got.value, signal);
    EXPECT_EQ(text_of(got).rfind("signal " + std::to_string(signal), 0), 0U) << text_of(got);
  }
}

TEST(OomWatch, OnlyWhatTheCounterGrewOfLate_Counts) {
  TimePoint now{std::chrono::hours(1)};
  OomWatch watch(now, 5);
  EXPECT_FALSE(watch.grew(5)) << "those of before the start are others";
  EXPECT_TRUE(watch.grew(6));
  watch.look(now + OomWatch::kStep / 2, 6);  // too early: changes nothing
  EXPECT_TRUE(watch.grew(6));
  now = watch.look_at();
  watch.look(now, 6);
  EXPECT_TRUE(watch.grew(6)) << "one that has just been looked at may be of this very exit";
  now = watch.look_at();
  watch.look(now, 6);
  EXPECT_FALSE(watch.grew(6)) << "an old one proves nothing";
  EXPECT_TRUE(watch.grew(7));
}

TEST(ExitOutcome, Words_AreStable) {
  const std::pair<ExitKind, const char*> rows[] = {
      {ExitKind::exited, "exit_code"},
      {ExitKind::signalled, "signal"},
      {ExitKind::out_of_memory, "out_of_memory"},
      {ExitKind::start_failed, "start_failed"},
      {ExitKind::start_timeout, "start_timeout"},
      {ExitKind::hung, "hang"},
      {ExitKind::stopped, "stopped"},
      {ExitKind::lost, "lost"},
  };
  for (const auto& [kind, word] : rows) {
    EXPECT_EQ(word_of(kind), word);
    EXPECT_EQ(outcome_of(kind).is_failure(), kind != ExitKind::stopped);
  }
}

TEST(ExitOutcome, Texts) {
  const std::pair<ExitOutcome, const char*> rows[] = {
      {outcome_of(ExitKind::exited, 0), "exit code 0"},
      {outcome_of(ExitKind::exited, 3), "exit code 3"},
      {outcome_of(ExitKind::signalled, SIGKILL), "signal 9 (SIGKILL)"},
      {outcome_of(ExitKind::signalled, SIGSEGV, true), "signal 11 (SIGSEGV), core dumped"},
      {outcome_of(ExitKind::signalled, SIGABRT, true, 2), "signal 6 (SIGABRT), core dumped, rank 2"},
      {outcome_of(ExitKind::signalled, 40), "signal 40"},
      {outcome_of(ExitKind::out_of_memory, SIGKILL), "killed by the kernel: out of memory"},
      {outcome_of(ExitKind::start_failed, ENOENT), "cannot be executed: No such file or directory"},
      {outcome_of(ExitKind::start_failed, EACCES, false, 1), "cannot be executed: Permission denied, rank 1"},
      {outcome_of(ExitKind::start_failed), "cannot be executed"},
      {outcome_of(ExitKind::start_timeout), "not ready within the start time-out"},
      {outcome_of(ExitKind::hung), "hung: no answer to its liveness probes"},
      {outcome_of(ExitKind::stopped), "stopped"},
      {outcome_of(ExitKind::lost), "lost: the process that watched it has died"},
  };
  for (const auto& [given, text] : rows) EXPECT_EQ(text_of(given), text);
}

}  // namespace
}  // namespace svc::agent
