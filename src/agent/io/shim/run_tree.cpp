#include "agent/io/shim/run_tree.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>

#include "common/io/proc_scan.hpp"

namespace svc::agent {

std::size_t RunTree::ranks_alive() const {
  return static_cast<std::size_t>(std::count_if(ranks_.begin(), ranks_.end(), [](pid_t pid) { return pid != 0; }));
}

void RunTree::reap(const std::function<void(std::size_t rank, int status)>& on_rank_end) {
  for (;;) {
    int status = 0;
    // __WALL: also what was cloned with another signal than SIGCHLD.
    const pid_t pid = ::waitpid(-1, &status, WNOHANG | __WALL);
    if (pid < 0 && errno == EINTR) continue;
    children_left_ = pid == 0;
    if (pid <= 0) return;
    const auto rank = std::find(ranks_.begin(), ranks_.end(), pid);
    if (rank == ranks_.end()) continue;
    *rank = 0;
    on_rank_end(static_cast<std::size_t>(rank - ranks_.begin()), status);
  }
}

void RunTree::terminate() const {
  for (auto rank = ranks_.rbegin(); rank != ranks_.rend(); ++rank) {
    if (*rank == 0) continue;
    ::kill(-*rank, SIGTERM);
    ::kill(-*rank, SIGCONT);  // one that was stopped could not take it
  }
  terminate_orphans();
}

void RunTree::terminate_orphans() const {
  const pid_t self = ::getpid();
  for (const ProcessFacts& process : scan_descendants(self)) {
    const bool told = std::find(ranks_.begin(), ranks_.end(), process.group) != ranks_.end();
    if (told || process.parent != self || has_ended(process)) continue;
    signal_process(process, SIGTERM);
    signal_process(process, SIGCONT);
  }
}

void RunTree::kill() {
  // Parents come before their children, so that one pass is enough unless something forks at this very moment.
  constexpr int kPasses = 100;
  bool found = true;
  for (int pass = 0; pass < kPasses && found; ++pass) {
    found = kill_once();
    cgroup_.kill();
    for (const pid_t rank : ranks_) {
      if (rank != 0) ::kill(-rank, SIGKILL);
    }
  }
}

/// False: there was nothing new.
bool RunTree::kill_once() {
  bool found = false;
  for (const ProcessFacts& process : scan_descendants(::getpid())) {
    if (has_ended(process)) continue;
    if (!met_.emplace(process.pid, process.start_ticks).second) continue;
    found = true;
    if (signal_process(process, SIGKILL)) ++killed_;
  }
  return found;
}

}  // namespace svc::agent
