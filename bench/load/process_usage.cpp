#include "bench/load/process_usage.hpp"

#include <dirent.h>
#include <time.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <map>
#include <sstream>
#include <string>

namespace svc::load {
namespace {

struct Stat {
  int parent = 0;
  std::int64_t kernel_ticks = 0;
  std::size_t threads = 0;
};

// /proc/PID/stat; the name in it may have blanks and brackets. False: the process is gone.
bool read_stat(int pid, Stat& stat) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string line;
  if (!std::getline(file, line)) {
    return false;
  }
  std::istringstream fields(line.substr(line.rfind(')') + 1));
  std::string field;
  // The first one here is the third of proc(5).
  for (int number = 3; number <= 20 && fields >> field; ++number) {
    if (number == 4) stat.parent = std::atoi(field.c_str());
    if (number == 15) stat.kernel_ticks = std::atoll(field.c_str());
    if (number == 20) stat.threads = static_cast<std::size_t>(std::atoll(field.c_str()));
  }
  return true;
}

std::multimap<int, int> children_by_parent() {
  std::multimap<int, int> children;
  DIR* const folder = ::opendir("/proc");
  if (folder == nullptr) {
    return children;
  }
  while (const dirent* const entry = ::readdir(folder)) {
    const int pid = std::atoi(&entry->d_name[0]);
    Stat stat;
    if (pid > 0 && read_stat(pid, stat)) {
      children.emplace(stat.parent, pid);
    }
  }
  ::closedir(folder);
  return children;
}

// The value of "Key:   123 kB" in bytes.
std::int64_t kib_field(const std::string& path, const std::string& wanted) {
  std::ifstream file(path);
  for (std::string key; file >> key; file.ignore(1000, '\n')) {
    std::int64_t kib = 0;
    if (key == wanted && file >> kib) {
      return kib * 1024;
    }
  }
  return 0;
}

bool add_process(int pid, bool with_memory, Usage& usage) {
  // The process's clock counts what its stat file shows as utime + stime, but in ns instead of ticks.
  clockid_t clock{};
  timespec time{};
  Stat stat;
  if (::clock_getcpuclockid(pid, &clock) != 0 || ::clock_gettime(clock, &time) != 0 || !read_stat(pid, stat)) {
    return false;
  }
  usage.cpu += std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
  usage.kernel += std::chrono::nanoseconds(stat.kernel_ticks * (1'000'000'000 / ::sysconf(_SC_CLK_TCK)));
  usage.threads += stat.threads;
  if (with_memory) {
    const std::string folder = "/proc/" + std::to_string(pid);
    usage.rss_bytes += kib_field(folder + "/status", "VmRSS:");
    usage.pss_bytes += kib_field(folder + "/smaps_rollup", "Pss:");
  }
  return true;
}

}  // namespace

MachineUsage machine_usage() {
  // "cpu", then ticks of all cores: user, nice, system, idle, iowait, irq, softirq, steal; what follows is in user.
  std::ifstream file("/proc/stat");
  std::string name;
  MachineUsage usage;
  file >> name;
  for (int field = 0; field < 8; ++field) {
    std::int64_t ticks = 0;
    if (name != "cpu" || !(file >> ticks)) {
      return {};
    }
    const auto time = std::chrono::nanoseconds(ticks * (1'000'000'000 / ::sysconf(_SC_CLK_TCK)));
    usage.total += time;
    const bool idle = field == 3 || field == 4;
    usage.busy += idle ? Duration::zero() : time;
  }
  return usage;
}

Result<ProcessTree> ProcessTree::of(int pid) {
  ProcessTree tree;
  Stat stat;
  if (pid == 0) {
    return tree;
  }
  if (!read_stat(pid, stat)) {
    return not_found("there is no process " + std::to_string(pid));
  }
  const auto children = children_by_parent();
  tree.pids_.push_back(pid);
  for (std::size_t i = 0; i < tree.pids_.size(); ++i) {
    const auto [begin, end] = children.equal_range(tree.pids_[i]);
    for (auto child = begin; child != end; ++child) {
      tree.pids_.push_back(child->second);
    }
  }
  return tree;
}

Result<Usage> ProcessTree::usage(bool with_memory) const {
  Usage usage;
  for (const int pid : pids_) {
    if (!add_process(pid, with_memory, usage)) {
      return not_found("process " + std::to_string(pid) + " has ended");
    }
  }
  return usage;
}

}  // namespace svc::load
