#include "agent/io/shim_start.hpp"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <string_view>
#include <system_error>
#include <vector>

#include "agent/io/shim/child_setup.hpp"
#include "agent/io/shim/leftovers.hpp"
#include "agent/io/shim/shim.hpp"

namespace svc::agent {
namespace {

constexpr int kShimErrorPipe = kShimLock + 1;
/// Descriptors are moved up here first, so that none is in the place of another.
constexpr int kAside = 16;
enum ShimStep : int { streams, descriptors, exec };

/// Before main(), and so before the daemon raises it: engines that use select(2) break above 1024.
const rlimit kFileLimitAtStart = [] {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) limit.rlim_cur = limit.rlim_max = RLIM_INFINITY;
  return limit;
}();

Error cannot_start(const char* step) {
  return io_failed("cannot start a shim", std::string(step) + ": " + std::generic_category().message(errno));
}

/// What a service manager tells one process, for no other: an engine that knows of it would answer for the agent.
constexpr std::array<std::string_view, 6> kOfThisProcess{"NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC",
                                                         "LISTEN_PID",    "LISTEN_FDS",   "LISTEN_FDNAMES"};

bool is_passed_on(std::string_view variable) {
  const std::string_view name = variable.substr(0, variable.find('='));
  return name != kRunMarker && std::find(kOfThisProcess.begin(), kOfThisProcess.end(), name) == kOfThisProcess.end();
}

std::vector<char*> environment_with(std::string& marker) {
  std::vector<char*> variables;
  for (char** variable = environ; variable != nullptr && *variable != nullptr; ++variable) {
    if (is_passed_on(*variable)) variables.push_back(*variable);
  }
  if (!marker.empty()) variables.push_back(marker.data());
  variables.push_back(nullptr);
  return variables;
}

struct ShimPlan {
  char* const* argv = nullptr;
  char* const* environment = nullptr;
  int null = -1, connection = -1, lock = -1, failure = -1;  ///< all at kAside or above
};

[[noreturn]] void run_shim_child(const ShimPlan& plan) {
  ::setsid();  // a Ctrl-C is the agent's to deal with
  reset_signals();
  if (::dup2(plan.null, STDIN_FILENO) < 0 || ::dup2(plan.null, STDOUT_FILENO) < 0) fail_child(plan.failure, streams);
  if (::dup2(plan.connection, kShimSocket) < 0 || ::dup2(plan.lock, kShimLock) < 0 ||
      ::dup3(plan.failure, kShimErrorPipe, O_CLOEXEC) < 0) {
    fail_child(plan.failure, descriptors);
  }
  close_from(kShimErrorPipe + 1);
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0 && kFileLimitAtStart.rlim_cur <= limit.rlim_max) {
    limit.rlim_cur = kFileLimitAtStart.rlim_cur;
    ::setrlimit(RLIMIT_NOFILE, &limit);
  }
  ::execve("/proc/self/exe", plan.argv, plan.environment);
  fail_child(kShimErrorPipe, exec);
}

}  // namespace

Result<StartedShim> start_shim(const std::string& name, int lock) {
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends.data()) != 0) {
    return cannot_start("socketpair");
  }
  UniqueFd ours(ends[0]);
  const UniqueFd theirs(ends[1]);
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return cannot_start("pipe");
  const UniqueFd failed(ends[0]);
  UniqueFd failed_end(ends[1]);
  const UniqueFd null(::open("/dev/null", O_RDWR | O_CLOEXEC));

  const UniqueFd null_aside(duplicate_above(null.get(), kAside));
  const UniqueFd theirs_aside(duplicate_above(theirs.get(), kAside));
  const UniqueFd lock_aside(duplicate_above(lock, kAside));
  UniqueFd failed_aside(duplicate_above(failed_end.get(), kAside));
  if (!null_aside || !theirs_aside || !lock_aside || !failed_aside) return cannot_start("descriptors");

  std::string title = "infinilm-agent: " + name;
  std::string role = kShimArgument;
  const std::string value = run_marker(lock, name);
  std::string marker = value.empty() ? value : std::string(kRunMarker) + "=" + value;
  const std::array<char*, 3> argv{title.data(), role.data(), nullptr};
  const std::vector<char*> environment = environment_with(marker);
  const ShimPlan plan{argv.data(),        environment.data(), null_aside.get(),
                      theirs_aside.get(), lock_aside.get(),   failed_aside.get()};
  const pid_t pid = ::fork();
  if (pid < 0) return cannot_start("fork");
  if (pid == 0) run_shim_child(plan);
  failed_aside.reset();
  failed_end.reset();
  ChildFailure failure;
  if (read_failure(failed.get(), failure)) {
    reap_child(pid);
    errno = failure.error;
    return cannot_start(failure.step == exec ? "exec" : "descriptors of the child");
  }
  return StartedShim{pid, std::move(ours)};
}

}  // namespace svc::agent
