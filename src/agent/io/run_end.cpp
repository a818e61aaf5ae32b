#include "agent/io/run_end.hpp"

#include <algorithm>
#include <boost/asio/this_coro.hpp>
#include <csignal>
#include <vector>

#include "agent/io/shim/leftovers.hpp"
#include "agent/io/shim/run_cgroup.hpp"
#include "common/io/proc_scan.hpp"

namespace svc::agent {
namespace {

/// Parents before children; zombies left out. None when the shim's pid is another's by now.
std::vector<ProcessFacts> below_shim(const RunIdentity& run) {
  const auto now = facts_of(run.shim.pid);
  if (!now || now->start_ticks != run.shim.start_ticks) return {};
  auto found = scan_descendants(run.shim.pid);
  std::erase_if(found, has_ended);
  return found;
}

/// The shim left out.
std::vector<ProcessFacts> left_of(const RunIdentity& run) {
  auto found = below_shim(run);
  for (const ProcessFacts& carrier : carriers_of(run.marker)) {
    const bool known = std::any_of(found.begin(), found.end(),
                                   [&carrier](const ProcessFacts& process) { return process.pid == carrier.pid; });
    if (!known && carrier.pid != run.shim.pid) found.push_back(carrier);
  }
  return found;
}

bool shim_lives(const RunIdentity& run) {
  const auto now = facts_of(run.shim.pid);
  return now && now->start_ticks == run.shim.start_ticks && !has_ended(*now);
}

/// The shim left out. False: there was nothing.
bool kill_once(const RunIdentity& run) {
  const auto left = left_of(run);
  if (!run.cgroup.empty()) write_small_file(run.cgroup + "/cgroup.kill", "1");
  for (const ProcessFacts& process : left) signal_process(process, SIGKILL);
  return !left.empty();
}

}  // namespace

void terminate_ranks(const RunIdentity& run) {
  const auto found = below_shim(run);
  for (auto rank = found.rbegin(); rank != found.rend(); ++rank) {
    // A rank is the leader of a session of its own. Its facts are a moment old: it is looked at again.
    if (rank->parent != run.shim.pid || rank->group != rank->pid) continue;
    const auto now = facts_of(rank->pid);
    if (!now || now->start_ticks != rank->start_ticks) continue;
    ::kill(-rank->pid, SIGTERM);
    ::kill(-rank->pid, SIGCONT);
  }
}

bool engine_left(const RunIdentity& run) { return !left_of(run).empty(); }

asio::awaitable<bool> kill_run(RunIdentity run, std::function<bool()> present) {
  constexpr Duration kLimit = std::chrono::seconds(5);
  constexpr Duration kLookAgain = std::chrono::milliseconds(10);
  Timer timer(co_await asio::this_coro::executor);
  const TimePoint end = steady_now() + kLimit;
  // The marker is that of the next run too: as soon as this one is over, nobody may be looked for by it.
  while (present()) {
    // The shim last, since by it the others are known.
    if (!kill_once(run)) {
      signal_process(run.shim, SIGKILL);
      if (!shim_lives(run)) break;
    }
    if (steady_now() >= end) co_return false;
    timer.expires_after(kLookAgain);
    co_await timer.async_wait(kTok);
  }
  co_return true;
}

void kill_run_now(const RunIdentity& run) {
  kill_once(run);
  signal_process(run.shim, SIGKILL);
}

asio::awaitable<void> remove_group(std::string cgroup) {
  constexpr Duration kLimit = std::chrono::seconds(1);
  constexpr Duration kLookAgain = std::chrono::milliseconds(5);
  Timer timer(co_await asio::this_coro::executor);
  const TimePoint end = steady_now() + kLimit;
  if (!cgroup.empty()) write_small_file(cgroup + "/cgroup.kill", "1");
  // It takes a moment to notice that it is empty.
  while (!cgroup.empty() && !remove_cgroup(cgroup) && steady_now() < end) {
    timer.expires_after(kLookAgain);
    co_await timer.async_wait(kTok);
  }
}

}  // namespace svc::agent
