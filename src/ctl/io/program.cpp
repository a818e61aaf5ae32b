#include "ctl/io/program.hpp"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <sstream>
#include <system_error>

#include "common/core/deadline.hpp"
#include "common/io/unique_fd.hpp"

namespace svc::ctl {
namespace {

Error cannot_run(const std::string& program, int error) {
  return io_failed("cannot run " + program, std::generic_category().message(error));
}

struct Pipe {
  UniqueFd read, write;
};

Result<Pipe> make_pipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return io_failed("no pipe", std::generic_category().message(errno));
  return Pipe{UniqueFd(ends[0]), UniqueFd(ends[1])};
}

class SpawnActions {
 public:
  SpawnActions() { ::posix_spawn_file_actions_init(&actions_); }
  ~SpawnActions() { ::posix_spawn_file_actions_destroy(&actions_); }
  SpawnActions(const SpawnActions&) = delete;
  SpawnActions& operator=(const SpawnActions&) = delete;
  posix_spawn_file_actions_t* get() { return &actions_; }

 private:
  posix_spawn_file_actions_t actions_{};
};

/// Reads what is there; at the end of the pipe it is closed.
void take(UniqueFd& from, std::string& into) {
  std::array<char, 16384> buffer;
  const ssize_t size = ::read(from.get(), buffer.data(), buffer.size());
  if (size < 0 && errno == EINTR) return;
  if (size <= 0) return from.reset();
  const std::size_t room = ProgramEnd::kMostBytes - std::min(into.size(), ProgramEnd::kMostBytes);
  into.append(buffer.data(), std::min(room, static_cast<std::size_t>(size)));
}

struct Child {
  std::string program;
  pid_t pid = 0;
  UniqueFd output, errors;
  ProgramEnd end;

  [[nodiscard]] bool speaks() const { return output || errors; }
};

/// Until all have closed their pipes, or the time is over.
void read_all(std::vector<Result<Child>>& children, Deadline deadline) {
  while (true) {
    std::vector<pollfd> waits;
    for (const auto& child : children) {
      waits.push_back({child ? child->output.get() : -1, POLLIN, 0});
      waits.push_back({child ? child->errors.get() : -1, POLLIN, 0});
    }
    const bool any = std::any_of(waits.begin(), waits.end(), [](const pollfd& wait) { return wait.fd >= 0; });
    const Duration left = deadline.left(steady_now());
    if (!any || left <= Duration::zero()) return;
    const auto milliseconds = std::chrono::ceil<std::chrono::milliseconds>(left).count();
    if (::poll(waits.data(), waits.size(), static_cast<int>(milliseconds)) < 0 && errno != EINTR) return;
    for (std::size_t i = 0; i < children.size(); ++i) {
      if (waits[2 * i].revents != 0) take(children[i]->output, children[i]->end.output);
      if (waits[2 * i + 1].revents != 0) take(children[i]->errors, children[i]->end.errors);
    }
  }
}

int wait_for(pid_t pid) {
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

Result<Child> start(const std::vector<std::string>& argv, const std::string& folder) {
  auto output = make_pipe();
  auto errors = make_pipe();
  if (!output) return output.error();
  if (!errors) return errors.error();
  SpawnActions actions;
  ::posix_spawn_file_actions_addopen(actions.get(), STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_adddup2(actions.get(), output->write.get(), STDOUT_FILENO);
  ::posix_spawn_file_actions_adddup2(actions.get(), errors->write.get(), STDERR_FILENO);
  if (!folder.empty()) ::posix_spawn_file_actions_addchdir_np(actions.get(), folder.c_str());
  std::vector<char*> words;
  words.reserve(argv.size() + 1);
  for (const std::string& word : argv) words.push_back(const_cast<char*>(word.c_str()));  // exec changes none of them
  words.push_back(nullptr);
  Child child;
  child.program = argv.front();
  if (const int error = ::posix_spawn(&child.pid, words[0], actions.get(), nullptr, words.data(), environ);
      error != 0) {
    return cannot_run(argv.front(), error);
  }
  child.output = std::move(output->read);
  child.errors = std::move(errors->read);
  return child;
}

Result<ProgramEnd> ended(Child& child) {
  const bool in_time = !child.speaks();
  if (!in_time) ::kill(child.pid, SIGKILL);
  child.end.exit_code = wait_for(child.pid);
  if (!in_time) return timed_out(child.program + " did not end in time");
  return std::move(child.end);
}

bool is_executable(const std::filesystem::path& path) {
  std::error_code unknown;
  return std::filesystem::is_regular_file(path, unknown) && ::access(path.c_str(), X_OK) == 0;
}

/// "infinilm-router: validate: SENTENCE" -> "validate: SENTENCE", for each line.
std::vector<std::string> sentences_of(const std::string& errors) {
  std::vector<std::string> sentences;
  std::istringstream lines(errors);
  for (std::string line; std::getline(lines, line);) {
    const auto name = line.find(": ");
    if (line.starts_with("infinilm-") && name != std::string::npos) line.erase(0, name + 2);
    if (!line.empty()) sentences.push_back(line);
  }
  return sentences;
}

std::string said_nothing(const ProgramEnd& end) {
  return "it ended with exit code " + std::to_string(end.exit_code) + " and said nothing";
}

}  // namespace

std::string sibling_program(const std::string& name) {
  std::error_code unknown;
  const auto own = std::filesystem::read_symlink("/proc/self/exe", unknown).parent_path();
  if (!unknown && is_executable(own / name)) return own / name;
  const char* const path = std::getenv("PATH");
  std::istringstream folders(path == nullptr ? "" : path);
  for (std::string folder; std::getline(folders, folder, ':');) {
    if (folder.starts_with('/') && is_executable(folder + "/" + name)) return folder + "/" + name;
  }
  return {};
}

Result<ProgramEnd> run_program(const std::vector<std::string>& argv, const std::string& folder, Duration limit) {
  return run_programs({argv}, folder, limit).front();
}

std::vector<Result<ProgramEnd>> run_programs(const std::vector<std::vector<std::string>>& commands,
                                             const std::string& folder, Duration limit) {
  std::vector<Result<Child>> children;
  for (const auto& argv : commands) children.push_back(start(argv, folder));
  read_all(children, Deadline::after(steady_now(), limit));
  std::vector<Result<ProgramEnd>> ends;
  for (auto& child : children) ends.push_back(child ? ended(*child) : Result<ProgramEnd>(child.error()));
  return ends;
}

std::string reason_of(const ProgramEnd& end) {
  const auto sentences = sentences_of(end.errors);
  return sentences.empty() ? said_nothing(end) : sentences.front();
}

std::string reasons_of(const ProgramEnd& end) {
  std::string all;
  for (const std::string& sentence : sentences_of(end.errors)) all.append(all.empty() ? "" : "; ").append(sentence);
  return all.empty() ? said_nothing(end) : all;
}

}  // namespace svc::ctl
