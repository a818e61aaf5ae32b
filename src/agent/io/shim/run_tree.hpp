// The processes of one run, from the shim's side: its direct children (ranks, and the orphans it has adopted) and all
// below them.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <set>
#include <utility>
#include <vector>

#include "agent/io/shim/run_cgroup.hpp"
#include "common/core/process_tree.hpp"

namespace svc::agent {

/// A process on which waitpid has reported is never signalled again by its pid: somebody else may have that by now.
class RunTree {
 public:
  explicit RunTree(const RunCgroup& cgroup) : cgroup_(cgroup) {}

  void add_rank(pid_t pid) { ranks_.push_back(pid); }
  /// Ranks by number; 0 = ended.
  [[nodiscard]] const std::vector<pid_t>& ranks() const { return ranks_; }
  [[nodiscard]] std::size_t ranks_alive() const;

  /// Reaps every child that has ended; `on_rank_end` gets those that are ranks, with waitpid's status.
  void reap(const std::function<void(std::size_t rank, int status)>& on_rank_end);
  /// As of the last reap(): is any process of the run left? Exact, since a process whose parents have all died becomes
  /// a child of this one, so that without children there are no descendants.
  [[nodiscard]] bool anything_left() const { return children_left_ || cgroup_.populated(); }
  [[nodiscard]] bool children_left() const { return children_left_; }

  /// SIGTERM to the process group of each rank, the highest first, and to orphans, which have nobody to tell them.
  void terminate() const;
  void terminate_orphans() const;
  /// SIGKILL to all that is left. What is forked meanwhile is looked for again, but may escape until the next call.
  void kill();
  [[nodiscard]] std::uint64_t killed() const { return killed_; }

 private:
  bool kill_once();

  const RunCgroup& cgroup_;
  std::vector<pid_t> ranks_;
  bool children_left_ = false;
  std::uint64_t killed_ = 0;
  std::set<std::pair<pid_t, std::uint64_t>> met_;  // by kill(): pid and start time
};

}  // namespace svc::agent
