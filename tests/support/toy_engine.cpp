#include "tests/support/toy_engine.hpp"

#include <dirent.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string_view>
#include <thread>

#include "common/io/proc_scan.hpp"

namespace svc::test {
namespace {

using Steps = std::vector<std::string>;

int term_code = 0;
int ready_pipe = -1;  // of a child: open until it has come to its last step

void be_ready() {
  if (ready_pipe >= 0) ::close(ready_pipe);
  ready_pipe = -1;
}

void write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t size = ::write(fd, text.data(), text.size());
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) ::_exit(99);
    text.remove_prefix(static_cast<std::size_t>(size));
  }
}

void say(const std::string& text) { write_all(STDOUT_FILENO, text + "\n"); }

[[noreturn]] void pause_for_ever() {
  be_ready();
  for (;;) ::pause();
}

void flood(int megabytes) {
  std::string block;
  while (block.size() < 1024 * 1024) {
    block += std::string(99, static_cast<char>('a' + block.size() / 100 % 26)) + "\n";
  }
  block.resize(1024 * 1024 / 100 * 100);
  for (int i = 0; i < megabytes; ++i) write_all(STDOUT_FILENO, block);
}

void endless(int megabytes) {
  const std::string block(1024 * 1024, 'x');
  for (int i = 0; i < megabytes; ++i) write_all(STDOUT_FILENO, block);
}

void about() {
  say("session " + std::to_string(::getsid(0) == ::getpid() ? 1 : 0));
  say("directory " + std::filesystem::current_path().string());
  std::vector<std::string> descriptors;
  DIR* folder = ::opendir("/proc/self/fd");
  while (const dirent* entry = ::readdir(folder)) {
    if (entry->d_name[0] != '.' && entry->d_name != std::to_string(::dirfd(folder))) {
      descriptors.emplace_back(entry->d_name);
    }
  }
  ::closedir(folder);
  std::sort(descriptors.begin(), descriptors.end());
  std::string line = "descriptors";
  for (const std::string& fd : descriptors) line += " " + fd;
  say(line);
  std::ifstream status("/proc/self/status");
  for (std::string text; std::getline(status, text);) {
    if (text.starts_with("SigBlk") || text.starts_with("SigIgn")) {
      std::replace(text.begin(), text.end(), '\t', ' ');
      say(text);
    }
  }
  char byte = 0;
  say("stdin " + std::to_string(::read(STDIN_FILENO, &byte, 1)));
  for (char** variable = environ; *variable != nullptr; ++variable) {
    if (std::string_view(*variable).starts_with("TOY_")) say(std::string("variable ") + *variable);
  }
  rlimit files{};
  ::getrlimit(RLIMIT_NOFILE, &files);
  say("files " + std::to_string(files.rlim_cur));
}

[[noreturn]] void run(const Steps& steps, std::size_t at);

/// Returns in the parent, as soon as the child (or grandchild) has come to its last step, or ended.
void start_child(const Steps& steps, std::size_t at, bool own_session, bool orphan) {
  int ready[2];
  if (::pipe(ready) != 0) ::_exit(98);
  const pid_t child = ::fork();
  if (child == 0) {
    if (own_session) ::setsid();
    if (orphan && ::fork() != 0) ::_exit(0);
    ::close(ready[0]);
    be_ready();  // that of this process's parent is not for it
    ready_pipe = ready[1];
    run(steps, at);
  }
  ::close(ready[1]);
  char byte = 0;
  while (::read(ready[0], &byte, 1) < 0 && errno == EINTR) {
  }
  ::close(ready[0]);
  if (orphan) ::waitpid(child, nullptr, 0);
}

void respawn(int count) {
  ::signal(SIGTERM, SIG_IGN);
  const auto start = [] {
    if (::fork() == 0) {
      ::setsid();
      pause_for_ever();
    }
  };
  for (int i = 0; i < count; ++i) start();
  be_ready();
  for (;;) {
    if (::wait(nullptr) > 0) start();
  }
}

[[noreturn]] void hop() {
  ::signal(SIGTERM, SIG_IGN);
  be_ready();
  for (;;) {
    const pid_t child = ::fork();
    if (child > 0) ::_exit(0);
    if (child == 0) ::setsid();
    // Fast enough to be gone before its pid is read somewhere, slow enough to leave the machine to others.
    ::poll(nullptr, 0, 1);
  }
}

[[noreturn]] void go_headless() {
  std::thread([] {
    for (auto self = facts_of(::getpid()); !self || self->state != 'Z'; self = facts_of(::getpid())) {
      ::poll(nullptr, 0, 1);
    }
    pause_for_ever();
  }).detach();
  ::syscall(SYS_exit, 0);
  ::_exit(97);
}

/// The step behind the "--" that ends what a child does.
std::size_t behind_child(const Steps& steps, std::size_t at) {
  const auto end = std::find(steps.begin() + static_cast<std::ptrdiff_t>(at), steps.end(), "--");
  return static_cast<std::size_t>(end - steps.begin()) + 1;
}

void run(const Steps& steps, std::size_t at) {
  for (; at < steps.size(); ++at) {
    const std::string& step = steps[at];
    const std::string word = step.substr(0, step.find(':'));
    const std::string rest = word.size() == step.size() ? "" : step.substr(word.size() + 1);
    const int number = std::atoi(rest.c_str());
    if (word == "exit") ::_exit(number);
    if (word == "--") ::_exit(0);
    if (word == "pause") pause_for_ever();
    if (word == "hop") hop();
    if (word == "headless") go_headless();
    if (word == "respawn") respawn(number);
    if (word == "print") say(rest);
    if (word == "error") write_all(STDERR_FILENO, rest + "\n");
    if (word == "partial") write_all(STDOUT_FILENO, rest);
    if (word == "flood") flood(number);
    if (word == "endless") endless(number);
    if (word == "about") about();
    if (word == "ignore") ::signal(number, SIG_IGN);
    if (word == "raise") {
      ::signal(number, SIG_DFL);
      ::raise(number);
    }
    if (word == "close") {
      ::close(STDOUT_FILENO);
      ::close(STDERR_FILENO);
    }
    if (word == "term") {
      term_code = number;
      ::signal(SIGTERM, [](int) { ::_exit(term_code); });
    }
    while (word == "await" && ::access(rest.c_str(), F_OK) != 0) ::poll(nullptr, 0, 5);
    if (word == "chatter") be_ready();
    while (word == "chatter") {
      say("chatter");
      ::poll(nullptr, 0, 10);
    }
    const bool child = word == "fork" || word == "daemon" || word == "session" || word == "session-daemon";
    if (!child) continue;
    start_child(steps, at + 1, word.starts_with("session"), word.ends_with("daemon"));
    at = behind_child(steps, at) - 1;
  }
  ::_exit(0);
}

constexpr char kToyArgument[] = "--toy-engine";

}  // namespace

void run_toy_engine(int argc, char** argv) {
  if (argc < 2 || std::string_view(argv[1]) != kToyArgument) return;
  run(Steps(argv + 2, argv + argc), 0);
}

std::vector<std::string> toy_command(std::vector<std::string> steps) {
  steps.insert(steps.begin(), {std::filesystem::read_symlink("/proc/self/exe").string(), kToyArgument});
  return steps;
}

}  // namespace svc::test
