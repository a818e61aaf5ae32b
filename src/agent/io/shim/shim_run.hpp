// One run from its first process to its last: the loop of a shim.
#pragma once

#include <poll.h>

#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "agent/core/engine_lines.hpp"
#include "agent/core/shim_protocol.hpp"
#include "agent/core/stop_sequence.hpp"
#include "agent/io/shim/agent_link.hpp"
#include "agent/io/shim/engine_log.hpp"
#include "agent/io/shim/rank_output.hpp"
#include "agent/io/shim/run_cgroup.hpp"
#include "agent/io/shim/run_tree.hpp"
#include "common/io/unique_fd.hpp"

namespace svc::agent {

/// For a process that has nothing else to do: reaps all its children, and needs to be a child subreaper.
class ShimRun {
 public:
  /// `child_signals`: a signalfd of SIGCHLD, which is blocked.
  ShimRun(LaunchOrder order, AgentLink link, UniqueFd child_signals);
  ~ShimRun() = default;
  ShimRun(const ShimRun&) = delete;
  ShimRun& operator=(const ShimRun&) = delete;

  /// Starts the ranks, and returns when no process of the run is left and the agent has been told. False: the disk of
  /// the log does not answer; then this process must be left by _exit.
  [[nodiscard]] bool run();

 private:
  struct Rank {
    explicit Rank(int rank_number) : number(rank_number) {}
    int number;
    LastLines last_lines;
    std::vector<RankOutput> outputs;  // while they are open
  };

  void start_ranks();
  void start_failed(int rank, int error, const std::string& message);
  RunReport run_report() const;

  void wait();
  int wait_ms(TimePoint now) const;
  void take_orders();
  void handle(const ShimOrder& order);
  void agent_gone();
  void greet_agent();

  void read_outputs();
  void drain(Rank& rank);
  void take_line(Rank& rank, bool is_error, std::string_view line);
  [[nodiscard]] bool log_is_stuck(TimePoint now) const;
  [[nodiscard]] bool log_is_news(TimePoint now) const;
  void report_line(TimePoint now);

  void reap();
  void rank_ended(std::size_t rank, int status);
  void begin_stop(Duration grace);
  bool advance();  // true: nothing is left
  [[nodiscard]] bool say_goodbye();

  LaunchOrder order_;
  AgentLink link_;
  UniqueFd child_signals_;
  UniqueFd log_news_;  // an eventfd: the state of the log has changed
  EngineLog log_;
  RunCgroup cgroup_;
  OomWatch oom_;
  RunTree tree_;
  StopSequence stop_;
  WallTime started_at_{};
  std::deque<Rank> ranks_;  // their outputs refer to them
  std::vector<ExitReport> exits_;

  std::vector<char> buffer_;
  std::vector<pollfd> polled_;
  WallTime turn_at_{};
  std::size_t next_rank_ = 0;  // whose output is read first
  bool more_output_ = false;
  TimePoint hold_until_ = TimePoint::min();  // no output is read before
  std::optional<std::uint16_t> port_;
  bool port_is_new_ = false;
  bool port_is_settled_ = false;
  bool line_is_new_ = false;
  int newest_rank_ = 0;
  std::uint64_t lines_lost_told_ = 0;
  bool log_failing_told_ = false;
  bool log_stuck_told_ = false;
  TimePoint line_report_at_{};
};

}  // namespace svc::agent
