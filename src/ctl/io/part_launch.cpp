// Starting a part: fork, a session of its own, exec. Between fork and exec only async-signal-safe calls.
#include <fcntl.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <system_error>

#include "ctl/core/process_identity.hpp"
#include "ctl/io/part_process.hpp"

namespace svc::ctl {
namespace {

Error cannot(const std::string& what, int error = errno) {
  return io_failed(what, std::generic_category().message(error));
}

Result<UniqueFd> open_file(const std::string& path, int flags) {
  UniqueFd file(::open(path.c_str(), flags | O_CREAT | O_CLOEXEC, 0640));
  if (!file) return cannot("cannot write " + path);
  return file;
}

struct ChildPlan {
  char* const* argv = nullptr;
  const char* folder = nullptr;
  int null = -1, output = -1, failure = -1;
};

/// What the caller has open (a pipe of a script's $(...)) would otherwise stay open as long as the daemon lives. The end for
/// failures has to be closed by the exec alone.
void close_at_exec() {
  constexpr unsigned kCloseRangeCloexec = 1U << 2U;
  if (::syscall(SYS_close_range, STDERR_FILENO + 1, ~0U, kCloseRangeCloexec) == 0) return;
  constexpr int kMost = 4096;  // a kernel before 5.11
  for (int fd = STDERR_FILENO + 1; fd < kMost; ++fd) ::fcntl(fd, F_SETFD, FD_CLOEXEC);
}

[[noreturn]] void run_child(const ChildPlan& plan) {
  ::setsid();
  for (int number = 1; number < NSIG; ++number) ::signal(number, SIG_DFL);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  const bool prepared = ::chdir(plan.folder) == 0 && ::dup2(plan.null, STDIN_FILENO) >= 0 &&
                        ::dup2(plan.output, STDOUT_FILENO) >= 0 && ::dup2(plan.output, STDERR_FILENO) >= 0;
  if (prepared) {
    close_at_exec();
    ::execv(plan.argv[0], plan.argv);
  }
  const int error = errno;
  const ssize_t told = ::write(plan.failure, &error, sizeof error);
  ::_exit(told > 0 ? 127 : 126);
}

std::vector<char*> words_of(const std::vector<std::string>& command) {
  std::vector<char*> words;
  for (const std::string& word : command) words.push_back(const_cast<char*>(word.c_str()));  // exec takes them so
  words.push_back(nullptr);
  return words;
}

Result<pid_t> start_process(const LaunchOrder& order) {
  const UniqueFd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  auto output = open_file(order.output, O_WRONLY | O_APPEND | O_TRUNC);
  if (!output) return output.error();
  std::array<int, 2> ends{};
  if (!null || ::pipe2(ends.data(), O_CLOEXEC) != 0) return cannot("no file descriptors");
  const UniqueFd failed(ends[0]);
  UniqueFd failure(ends[1]);
  ::setenv(std::string(kPartVariable).c_str(), marker_of(order.pid_file).c_str(), 1);
  const std::vector<char*> argv = words_of(order.command);
  const ChildPlan plan{argv.data(), order.folder.c_str(), null.get(), output->get(), failure.get()};
  const pid_t pid = ::fork();
  if (pid < 0) return cannot("cannot start a process");
  if (pid == 0) run_child(plan);
  failure.reset();
  int error = 0;
  if (::read(failed.get(), &error, sizeof error) == static_cast<ssize_t>(sizeof error)) {
    ::waitpid(pid, nullptr, 0);
    return cannot("cannot run " + order.command.front(), error);
  }
  return pid;
}

Result<void> write_pid(const UniqueFd& file, const std::string& path, pid_t pid) {
  const std::string text = std::to_string(pid) + "\n";
  const bool written = ::ftruncate(file.get(), 0) == 0 &&
                       ::pwrite(file.get(), text.data(), text.size(), 0) == static_cast<ssize_t>(text.size());
  if (!written) return cannot("cannot write " + path);
  return {};
}

}  // namespace

Result<Launched> launch_part(const LaunchOrder& order) {
  std::error_code error;
  std::filesystem::create_directories(std::filesystem::path(order.pid_file).parent_path(), error);
  const auto file = open_file(order.pid_file, O_RDWR);
  if (!file) return file.error();
  // Held until this process ends: a second launch looks only when the first one has written its PID.
  if (::flock(file->get(), LOCK_EX) != 0) return cannot("cannot lock " + order.pid_file);
  const std::string program = std::filesystem::path(order.command.front()).filename().string();
  if (const auto found = find_part(order.pid_file, program)) {
    if (auto written = write_pid(*file, order.pid_file, found->pid); !written) return written.error();
    return Launched{found->pid, true};
  }
  const std::string obstacle = order.is_free ? order.is_free() : "";
  const Result<pid_t> pid = obstacle.empty() ? start_process(order) : Result<pid_t>(conflict(obstacle));
  if (!pid) {
    std::filesystem::remove(order.pid_file, error);
    return pid.error();
  }
  if (auto written = write_pid(*file, order.pid_file, *pid); !written) {
    ::kill(*pid, SIGTERM);
    return written.error();
  }
  return Launched{*pid, false};
}

}  // namespace svc::ctl
