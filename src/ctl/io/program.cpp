#include "ctl/io/program.hpp"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <string_view>
#include <system_error>

namespace svc::ctl {
namespace {

/// Both ends are closed with it.
struct Pipe {
  std::array<int, 2> ends{-1, -1};

  Pipe() = default;
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  ~Pipe() {
    close_end(0);
    close_end(1);
  }
  bool open() { return ::pipe2(ends.data(), O_CLOEXEC) == 0; }
  void close_end(std::size_t end) {
    if (ends[end] >= 0) ::close(ends[end]);
    ends[end] = -1;
  }
};

Error cannot_run(const std::string& path, int error) {
  return io_failed("cannot run '" + path + "'", std::generic_category().message(error));
}

bool executable(const std::string& path) {
  std::error_code unknown;
  return std::filesystem::is_regular_file(path, unknown) && ::access(path.c_str(), X_OK) == 0;
}

/// False: this end has come to its end.
bool read_some(int fd, std::string& into) {
  std::array<char, 16384> buffer;
  const ::ssize_t got = ::read(fd, buffer.data(), buffer.size());
  if (got > 0) into.append(buffer.data(), static_cast<std::size_t>(got));
  return got > 0 || (got < 0 && errno == EINTR);
}

void read_both(Pipe& output, Pipe& errors, ProgramEnd& end) {
  while (output.ends[0] >= 0 || errors.ends[0] >= 0) {
    std::array<::pollfd, 2> waiting{{{output.ends[0], POLLIN, 0}, {errors.ends[0], POLLIN, 0}}};
    if (::poll(waiting.data(), waiting.size(), -1) < 0 && errno != EINTR) return;
    if (waiting[0].revents != 0 && !read_some(output.ends[0], end.output)) output.close_end(0);
    if (waiting[1].revents != 0 && !read_some(errors.ends[0], end.errors)) errors.close_end(0);
  }
}

int exit_code_of(int status) { return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status); }

}  // namespace

std::string sibling_program(const std::string& name) {
  std::error_code unknown;
  const auto own = std::filesystem::read_symlink("/proc/self/exe", unknown).parent_path();
  if (!unknown && executable(own / name)) return own / name;
  const char* const variable = std::getenv("PATH");
  std::string_view folders = variable == nullptr ? "" : variable;
  while (!folders.empty()) {
    const auto folder = folders.substr(0, folders.find(':'));
    folders.remove_prefix(std::min(folder.size() + 1, folders.size()));
    std::string path = std::string(folder) + "/" + name;
    if (folder.starts_with('/') && executable(path)) return path;
  }
  return {};
}

Result<ProgramEnd> run_program(const std::vector<std::string>& argv) {
  Pipe output;
  Pipe errors;
  if (!output.open() || !errors.open()) return cannot_run(argv.front(), errno);
  ::posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_adddup2(&actions, output.ends[1], STDOUT_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions, errors.ends[1], STDERR_FILENO);
  std::vector<char*> words;
  for (const std::string& word : argv) words.push_back(const_cast<char*>(word.c_str()));  // exec changes none of them
  words.push_back(nullptr);
  ::pid_t pid = 0;
  const int failed = ::posix_spawn(&pid, argv.front().c_str(), &actions, nullptr, words.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  if (failed != 0) return cannot_run(argv.front(), failed);
  output.close_end(1);
  errors.close_end(1);
  ProgramEnd end;
  read_both(output, errors, end);
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  end.exit_code = exit_code_of(status);
  return end;
}

}  // namespace svc::ctl
