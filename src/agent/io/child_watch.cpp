#include "agent/io/child_watch.hpp"

#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/this_coro.hpp>
#include <csignal>
#include <map>
#include <set>
#include <vector>

#include "common/core/clock.hpp"
#include "common/io/proc_scan.hpp"

namespace svc::agent {
namespace {

enum class Owner { reaps, left };

/// Children that are no strays, of the whole process.
std::map<pid_t, Owner>& known_children() {
  static std::map<pid_t, Owner> known;
  return known;
}

/// Up to a child that its owner is about to reap: that comes back here through forget().
void reap_unowned() {
  for (;;) {
    siginfo_t ended{};
    // Looked at first: the status of an owned child is its owner's.
    if (::waitid(P_ALL, 0, &ended, WEXITED | WNOHANG | WNOWAIT) != 0 || ended.si_pid == 0) return;
    const auto known = known_children().find(ended.si_pid);
    if (known != known_children().end() && known->second == Owner::reaps) return;
    if (::waitpid(ended.si_pid, nullptr, WNOHANG) <= 0) return;
    if (known != known_children().end()) known_children().erase(known);
  }
}

std::vector<ProcessFacts> strays() {
  // Parents come before children: below a known shim is whatever has a parent that was passed over.
  std::vector<ProcessFacts> found;
  std::set<pid_t> passed_over;
  for (const ProcessFacts& process : scan_descendants(::getpid())) {
    if (known_children().contains(process.pid) || passed_over.contains(process.parent)) {
      passed_over.insert(process.pid);
    } else if (!has_ended(process)) {
      found.push_back(process);
    }
  }
  return found;
}

}  // namespace

struct ChildWatch::Impl : std::enable_shared_from_this<ChildWatch::Impl> {
  explicit Impl(const asio::any_io_executor& executor) : signals(executor, SIGCHLD) {}

  void wait() {
    signals.async_wait([self = shared_from_this()](const error_code& ec, int) {
      if (ec || self->stopped) return;
      self->wait();
      reap_unowned();
    });
  }

  asio::signal_set signals;
  bool stopped = false;
};

ChildWatch::ChildWatch(asio::any_io_executor executor) : impl_(std::make_shared<Impl>(executor)) {
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  impl_->wait();
  reap_unowned();
}

ChildWatch::~ChildWatch() { stop(); }

void ChildWatch::stop() {
  if (impl_->stopped) return;
  impl_->stopped = true;
  impl_->signals.cancel();
  impl_->signals.clear();
}

asio::awaitable<void> ChildWatch::end_strays() {
  constexpr Duration kLimit = std::chrono::seconds(5);
  // A stray's end is told by SIGCHLD only when it is a child, and most are grandchildren at first.
  constexpr Duration kLookAgain = std::chrono::milliseconds(5);
  Timer timer(co_await asio::this_coro::executor);
  const TimePoint end = steady_now() + kLimit;
  for (auto left = strays(); !left.empty() && steady_now() < end; left = strays()) {
    for (const ProcessFacts& process : left) signal_process(process, SIGKILL);
    timer.expires_after(kLookAgain);
    co_await timer.async_wait(kTok);
    reap_unowned();
  }
}

void ChildWatch::know(pid_t child) { known_children()[child] = Owner::reaps; }

void ChildWatch::forget(pid_t child) {
  known_children().erase(child);
  // Others may have ended behind it.
  reap_unowned();
}

void ChildWatch::leave(pid_t child) {
  known_children()[child] = Owner::left;
  reap_unowned();
}

}  // namespace svc::agent
