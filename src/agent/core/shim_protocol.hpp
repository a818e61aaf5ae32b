// What an agent and the shim of one run say to each other: one JSON object per SOCK_SEQPACKET message, either way.
//
// A shim is a small process between agent and engine (the word is containerd's). It holds the engine's output, is the
// reaper of all its descendants, and ends them when it is told to or when the agent is gone. One shim serves one run:
// it ends when the last process of the run has ended.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "agent/core/command_line.hpp"
#include "agent/core/exit_outcome.hpp"
#include "common/core/clock.hpp"
#include "common/core/result.hpp"

namespace svc::agent {

inline constexpr std::size_t kMaxShimMessage = 160 * 1024;  ///< below the kernel's default send buffer

/// The first message to a new shim.
struct LaunchOrder {
  std::string name;
  std::vector<RankCommand> ranks;
  bool outlive_agent = false;  ///< --on-agent-death keep
  Duration grace{};            ///< between TERM and KILL when the agent is gone and the engine is not to be kept
  std::string socket_path;     ///< listened on, for the next agent
  std::string log_file;
  std::uint64_t log_max_bytes = 50'000'000;
  unsigned log_max_files = 5;
  Duration log_max_age{};     ///< a file is rotated when its first line is older; 0 = never
  std::string cgroup_parent;  ///< a cgroup v2 directory that the agent may write to; "" = none
  std::string fingerprint;    ///< of the settings that made the commands: a changed one is not adopted
};

// To the shim.
struct StopOrder {
  Duration grace{};
};
struct ReopenLogOrder {};
/// The engine answers at this port. Ports in its output are not looked for any more: what it prints by then may be
/// anybody's words.
struct SettlePortOrder {
  std::uint16_t port = 0;
};
/// To a run that was to outlive its agent: it does not any more, and no other agent takes it over.
struct EndWithAgentOrder {};
using ShimOrder = std::variant<LaunchOrder, StopOrder, ReopenLogOrder, SettlePortOrder, EndWithAgentOrder>;

// From the shim.
/// The ranks run; also the first message to a new agent that connects.
struct RunReport {
  pid_t shim = 0;
  std::vector<pid_t> ranks;  ///< 0 = ended already
  std::string fingerprint;
  std::int64_t started_at_us = 0;     ///< wall clock, microseconds since 1970
  std::optional<std::uint16_t> port;  ///< the one that was settled, else the last one that was read in the output
  std::string cgroup;                 ///< "" = none
};
/// A port was named in the output, or (at most twice a second) there is a newer last line, or its log is in another
/// state. A last line alone is dropped when the agent does not read.
struct LineReport {
  std::optional<std::uint16_t> port;
  std::string last_line;
  std::uint64_t lines_lost = 0;  ///< that could not be written to the log, since the run began
  bool log_failing = false;      ///< the newest ones could not
  bool log_stuck = false;        ///< the disk of the log does not answer
};
/// A rank's own process ended, or could not be started.
struct ExitReport {
  ExitOutcome outcome;
};
/// Nothing is left of the run; the shim ends. `lines_lost`: of the engine's log, by a disk that is full or
/// hangs.
struct GoneReport {
  std::uint64_t killed = 0;  ///< processes that needed SIGKILL
  std::uint64_t lines_lost = 0;
};
using ShimReport = std::variant<RunReport, LineReport, ExitReport, GoneReport>;

[[nodiscard]] std::string encode(const ShimOrder& order);
[[nodiscard]] Result<ShimOrder> decode_order(std::string_view message);
[[nodiscard]] std::string encode(const ShimReport& report);
[[nodiscard]] Result<ShimReport> decode_report(std::string_view message);

}  // namespace svc::agent
