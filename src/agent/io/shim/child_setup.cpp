#include "agent/io/shim/child_setup.hpp"

#include <fcntl.h>
#include <linux/close_range.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>

namespace svc::agent {

void reset_signals() {
  struct sigaction usual {};
  usual.sa_handler = SIG_DFL;
  for (int signal = 1; signal < NSIG; ++signal) {
    ::sigaction(signal, &usual, nullptr);  // fails for the few that cannot be changed
  }
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

void close_from(int first) {
  if (::syscall(SYS_close_range, static_cast<unsigned>(first), ~0U, 0U) == 0) return;
  // Kernels before 5.9. A descriptor above today's limit is possible only when the limit was lowered since.
  rlimit limit{};
  constexpr rlim_t kMost = 1U << 20U;
  const bool known = ::getrlimit(RLIMIT_NOFILE, &limit) == 0;
  const auto end = static_cast<int>(known ? std::min<rlim_t>(limit.rlim_max, kMost) : kMost);
  for (int fd = first; fd < end; ++fd) ::close(fd);
}

int duplicate_above(int fd, int lowest) { return ::fcntl(fd, F_DUPFD_CLOEXEC, lowest); }

void fail_child(int pipe, int step) {
  const ChildFailure failure{step, errno};
  // A pipe takes so few bytes whole or not at all.
  while (::write(pipe, &failure, sizeof failure) < 0 && errno == EINTR) {
  }
  ::_exit(127);
}

bool read_failure(int pipe, ChildFailure& failure) {
  ssize_t size = 0;
  do {
    size = ::read(pipe, &failure, sizeof failure);
  } while (size < 0 && errno == EINTR);
  return size == static_cast<ssize_t>(sizeof failure);
}

void reap_child(pid_t pid) {
  while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
  }
}

}  // namespace svc::agent
