#include "agent/io/shim/shim.hpp"

#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "agent/io/run_files.hpp"
#include "agent/io/shim/leftovers.hpp"
#include "agent/io/shim/shim_run.hpp"

namespace svc::agent {
namespace {

constexpr int kBadStart = 2;
/// The agent sends its order at once.
constexpr int kOrderWithinMs = 10'000;

void keep_signals_away() {
  for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGPIPE, SIGUSR1, SIGUSR2, SIGALRM, SIGTSTP}) {
    std::signal(signal, SIG_IGN);
  }
}

UniqueFd watch_children() {
  sigset_t children;
  sigemptyset(&children);
  sigaddset(&children, SIGCHLD);
  ::sigprocmask(SIG_BLOCK, &children, nullptr);
  return UniqueFd(::signalfd(-1, &children, SFD_CLOEXEC | SFD_NONBLOCK));
}

std::optional<LaunchOrder> first_order(AgentLink& agent) {
  pollfd readable{agent.fd(), POLLIN, 0};
  if (::poll(&readable, 1, kOrderWithinMs) <= 0) return std::nullopt;
  auto order = agent.receive();
  if (!order || !std::holds_alternative<LaunchOrder>(*order)) return std::nullopt;
  return std::get<LaunchOrder>(std::move(*order));
}

/// An engine that outlives its agent must not hold what that has as stderr: its reader would wait for an end.
void leave_stderr() {
  const UniqueFd null(::open("/dev/null", O_WRONLY | O_CLOEXEC));
  if (null) ::dup2(null.get(), STDERR_FILENO);
}

}  // namespace

bool is_shim(int argc, const char* const* argv) { return argc == 2 && std::string_view(argv[1]) == kShimArgument; }

int run_shim() {
  if (::fcntl(kShimSocket, F_SETFD, FD_CLOEXEC) != 0 || ::fcntl(kShimLock, F_SETFD, FD_CLOEXEC) != 0) {
    std::fputs("infinilm-agent: --internal-shim is not for people: the agent starts its shims itself\n", stderr);
    return kBadStart;
  }
  keep_signals_away();
  write_holder(kShimLock);
  ::setsid();  // fails when the agent did it already
  ::prctl(PR_SET_NAME, "infinilm-shim");
  UniqueFd children = watch_children();
  AgentLink agent(kShimSocket);
  if (!children || ::prctl(PR_SET_CHILD_SUBREAPER, 1) != 0) {
    std::perror("infinilm-agent: shim");
    return kBadStart;
  }
  auto order = first_order(agent);
  if (!order) return kBadStart;  // the agent went away, or is none
  if (order->outlive_agent) leave_stderr();
  if (const char* marker = std::getenv(kRunMarker)) end_leftovers(marker);
  ::mallopt(M_ARENA_MAX, 1);  // the log's thread needs no memory of its own
  ShimRun run(std::move(*order), std::move(agent), std::move(children));
  if (run.run()) return 0;
  // A thread hangs in the kernel, and the descriptors stay open as long as it does. The run is over all the same.
  ::flock(kShimLock, LOCK_UN);
  ::_exit(0);
}

}  // namespace svc::agent
