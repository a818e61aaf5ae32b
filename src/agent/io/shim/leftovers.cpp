#include "agent/io/shim/leftovers.hpp"

#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "common/core/clock.hpp"
#include "common/core/percent_codec.hpp"
#include "common/io/proc_scan.hpp"

namespace svc::agent {
namespace {

bool carries(std::string_view environment, std::string_view variable) {
  while (!environment.empty()) {
    const std::string_view one = environment.substr(0, environment.find('\0'));
    if (one == variable) return true;
    environment.remove_prefix(std::min(one.size() + 1, environment.size()));
  }
  return false;
}

std::string environment_of(const ProcessFacts& process) {
  const std::string folder = "/proc/" + std::to_string(process.pid);
  std::string environment = read_small_file(folder + "/environ");
  if (process.state != 'Z') return environment;
  // Its first thread has ended and shows none; the others do.
  std::error_code failure;
  std::filesystem::directory_iterator thread(folder + "/task", failure);
  for (const std::filesystem::directory_iterator end; !failure && environment.empty() && thread != end;
       thread.increment(failure)) {
    environment = read_small_file(thread->path().string() + "/environ");
  }
  return environment;
}

}  // namespace

std::string run_marker(int lock, const std::string& name) {
  struct stat facts {};
  if (::fstat(lock, &facts) != 0) return {};
  return std::to_string(facts.st_dev) + ":" + std::to_string(facts.st_ino) + ":" + percent_encode(name);
}

std::vector<ProcessFacts> carriers_of(const std::string& marker_value) {
  std::vector<ProcessFacts> found;
  if (marker_value.empty()) return found;
  const std::string variable = std::string(kRunMarker) + "=" + marker_value;
  const pid_t self = ::getpid();
  for (const ProcessFacts& process : scan_processes()) {
    if (process.pid == self || has_ended(process)) continue;
    if (carries(environment_of(process), variable)) found.push_back(process);
  }
  return found;
}

int end_leftovers(const std::string& marker_value) {
  constexpr Duration kLimit = std::chrono::seconds(5);
  constexpr int kLookAgainMs = 5;
  const TimePoint end = steady_now() + kLimit;
  int count = 0;
  for (bool first = true;; first = false) {
    const auto left = carriers_of(marker_value);
    if (first) count = static_cast<int>(left.size());
    if (left.empty() || steady_now() >= end) return count;
    for (const ProcessFacts& process : left) signal_process(process, SIGKILL);
    // They are not children, so no signal tells of their end.
    ::poll(nullptr, 0, kLookAgainMs);
  }
}

}  // namespace svc::agent
