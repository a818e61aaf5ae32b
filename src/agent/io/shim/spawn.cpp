#include "agent/io/shim/spawn.hpp"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <map>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "agent/io/shim/child_setup.hpp"
#include "common/io/unique_fd.hpp"

namespace svc::agent {
namespace {

// The first descriptor that is neither standard nor the pipe of the exec's error.
constexpr int kErrorPipe = 3;
enum class Step : std::uint8_t { session, parent_death, streams, work_dir, exec };

constexpr int at(Step step) { return static_cast<int>(step); }

std::string cause_of(int error) { return std::generic_category().message(error); }

bool refuse(SpawnFailure& failure, int error, std::string message) {
  failure.error = error;
  failure.message = std::move(message) + ": " + cause_of(error);
  return false;
}

/// The environment of the child: this process's, with the command's variables in place of those of the same name.
std::vector<std::string> environment_of(const RankCommand& command) {
  std::vector<std::string> variables;
  for (char** variable = environ; variable != nullptr && *variable != nullptr; ++variable) {
    const std::string_view text = *variable;
    if (command.env.find(text.substr(0, text.find('='))) == command.env.end()) variables.emplace_back(text);
  }
  for (const auto& [name, value] : command.env) {
    std::string variable = name;
    variable += '=';
    variable += value;
    variables.push_back(std::move(variable));
  }
  return variables;
}

std::string value_of(const std::vector<std::string>& environment, std::string_view name) {
  for (const std::string& variable : environment) {
    if (variable.size() > name.size() && variable[name.size()] == '=' && variable.starts_with(name)) {
      return variable.substr(name.size() + 1);
    }
  }
  return {};
}

/// As the child will see it, which is in its work directory by then.
std::string seen_from(const std::string& work_dir, const std::string& path) {
  return path.starts_with('/') || work_dir.empty() ? path : work_dir + "/" + path;
}

/// 0, or why this file cannot be executed.
int executable_error(const std::string& path) {
  struct stat facts {};
  if (::stat(path.c_str(), &facts) != 0) return errno;
  if (S_ISDIR(facts.st_mode)) return EISDIR;
  if (!S_ISREG(facts.st_mode)) return EACCES;
  return ::faccessat(AT_FDCWD, path.c_str(), X_OK, AT_EACCESS) == 0 ? 0 : errno;
}

/// The program's path for execve, after chdir.
bool find_program(const RankCommand& command, const std::string& search_path, std::string& program,
                  SpawnFailure& failure) {
  const std::string& wanted = command.argv.front();
  if (wanted.find('/') != std::string::npos) {
    program = wanted;
    const int error = executable_error(seen_from(command.work_dir, program));
    return error == 0 || refuse(failure, error, "cannot execute '" + wanted + "'");
  }
  int error = ENOENT;
  std::string_view rest = search_path;
  while (!wanted.empty()) {
    const std::string_view folder = rest.substr(0, rest.find(':'));
    program = folder.empty() ? "./" + wanted : std::string(folder) + "/" + wanted;  // POSIX: an empty one is "here"
    const int found = executable_error(seen_from(command.work_dir, program));
    if (found == 0) return true;
    if (found == EACCES) error = EACCES;  // worth more than that the other folders lack it
    if (folder.size() == rest.size()) break;
    rest.remove_prefix(folder.size() + 1);
  }
  return refuse(failure, error, "cannot find the program '" + wanted + "' in PATH (" + search_path + ")");
}

/// A pipe whose ends are both above the standard descriptors and close-on-exec.
bool open_pipe(UniqueFd& read_end, UniqueFd& write_end) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return false;
  read_end.reset(ends[0]);
  write_end.reset(ends[1]);
  for (UniqueFd* end : {&read_end, &write_end}) {
    if (end->get() > STDERR_FILENO) continue;
    end->reset(duplicate_above(end->get(), kErrorPipe));
    if (!*end) return false;
  }
  return true;
}

std::vector<char*> pointers_to(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  pointers.reserve(texts.size() + 1);
  for (std::string& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

/// Everything the child needs, made before the fork.
struct Plan {
  pid_t parent = 0;
  const char* program = nullptr;
  char* const* argv = nullptr;
  char* const* environment = nullptr;
  const char* work_dir = nullptr;  ///< nullptr = stay
  int null_input = -1, output = -1, errors = -1, failure = -1, cgroup = -1;
};

[[noreturn]] void run_child(const Plan& plan) {
  if (::setsid() < 0) fail_child(plan.failure, at(Step::session));
  // The parent may have died before prctl: then nobody will ever send the signal.
  if (::prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) fail_child(plan.failure, at(Step::parent_death));
  if (::getppid() != plan.parent) ::_exit(127);
  reset_signals();
  if (::dup2(plan.null_input, STDIN_FILENO) < 0 || ::dup2(plan.output, STDOUT_FILENO) < 0 ||
      ::dup2(plan.errors, STDERR_FILENO) < 0) {
    fail_child(plan.failure, at(Step::streams));
  }
  // "0" is the writer itself. A cgroup that takes nobody is no reason not to run: the process tree is followed anyway.
  if (plan.cgroup >= 0 && ::write(plan.cgroup, "0", 1) < 0) errno = 0;
  if (plan.work_dir != nullptr && ::chdir(plan.work_dir) != 0) fail_child(plan.failure, at(Step::work_dir));
  int failure = plan.failure;
  if (failure != kErrorPipe) {
    if (::dup3(failure, kErrorPipe, O_CLOEXEC) < 0) fail_child(failure, at(Step::streams));
    failure = kErrorPipe;
  }
  close_from(kErrorPipe + 1);
  ::execve(plan.program, plan.argv, plan.environment);
  fail_child(failure, at(Step::exec));
}

bool explain(const RankCommand& command, const std::string& program, ChildFailure failed, SpawnFailure& failure) {
  switch (failed.step) {
    case at(Step::work_dir):
      return refuse(failure, failed.error, "cannot enter the work directory '" + command.work_dir + "'");
    case at(Step::exec):
      if (failed.error == ENOENT && executable_error(seen_from(command.work_dir, program)) == 0) {
        return refuse(failure, failed.error, "cannot execute '" + program + "', whose interpreter is missing");
      }
      return refuse(failure, failed.error, "cannot execute '" + program + "'");
    default: return refuse(failure, failed.error, "cannot prepare the process of '" + program + "'");
  }
}

}  // namespace

bool spawn_rank(const RankCommand& command, const std::string& cgroup_procs, SpawnedRank& rank, SpawnFailure& failure) {
  std::vector<std::string> arguments = command.argv;
  std::vector<std::string> environment = environment_of(command);
  std::string program;
  struct stat facts {};
  if (!command.work_dir.empty() && ::stat(command.work_dir.c_str(), &facts) != 0) {
    return refuse(failure, errno, "cannot enter the work directory '" + command.work_dir + "'");
  }
  if (!find_program(command, value_of(environment, "PATH"), program, failure)) return false;

  UniqueFd output, output_end, errors, errors_end, failed, failed_end;
  UniqueFd null_input(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  UniqueFd cgroup(cgroup_procs.empty() ? -1 : ::open(cgroup_procs.c_str(), O_WRONLY | O_CLOEXEC));
  if (!null_input || !open_pipe(output, output_end) || !open_pipe(errors, errors_end) ||
      !open_pipe(failed, failed_end)) {
    return refuse(failure, errno, "cannot make the pipes of '" + program + "'");
  }
  // Only the ends that are read here: the flag belongs to the end, and an engine expects writes that wait.
  ::fcntl(output.get(), F_SETFL, O_NONBLOCK);
  ::fcntl(errors.get(), F_SETFL, O_NONBLOCK);

  std::vector<char*> argv = pointers_to(arguments);
  std::vector<char*> variables = pointers_to(environment);
  const Plan plan{::getpid(),
                  program.c_str(),
                  argv.data(),
                  variables.data(),
                  command.work_dir.empty() ? nullptr : command.work_dir.c_str(),
                  null_input.get(),
                  output_end.get(),
                  errors_end.get(),
                  failed_end.get(),
                  cgroup.get()};
  const pid_t pid = ::fork();
  if (pid < 0) return refuse(failure, errno, "cannot make a process for '" + program + "'");
  if (pid == 0) run_child(plan);
  failed_end.reset();
  ChildFailure child;
  if (read_failure(failed.get(), child)) {
    reap_child(pid);
    return explain(command, program, child, failure);
  }
  rank = {pid, output.release(), errors.release()};
  return true;
}

}  // namespace svc::agent
