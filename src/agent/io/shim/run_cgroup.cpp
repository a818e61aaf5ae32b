#include "agent/io/shim/run_cgroup.hpp"

#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <system_error>
#include <vector>

#include "agent/io/cgroup_parent.hpp"
#include "agent/io/shim/shim.hpp"
#include "common/core/percent_codec.hpp"
#include "common/core/process_tree.hpp"
#include "common/io/proc_scan.hpp"

namespace svc::agent {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> folders_in(const std::string& path) {
  std::vector<std::string> found;
  std::error_code failure;
  for (fs::directory_iterator entry(path, failure), end; !failure && entry != end; entry.increment(failure)) {
    std::error_code ignored;
    if (entry->is_directory(ignored) && !entry->is_symlink(ignored)) found.push_back(entry->path().string());
  }
  return found;
}

/// The files of a cgroup go with its folder; only folders below keep it.
void remove_tree(const std::string& path) {
  for (const std::string& below : folders_in(path)) remove_tree(below);
  ::rmdir(path.c_str());
}

bool has_processes(const std::string& cgroup) {
  return read_small_file(cgroup + "/cgroup.events").find("populated 1") != std::string::npos;
}

/// The killed need a moment to end.
void await_empty(const std::string& cgroup) {
  constexpr int kLooks = 100;
  constexpr int kLookAgainMs = 5;
  for (int look = 0; look < kLooks && has_processes(cgroup); ++look) ::poll(nullptr, 0, kLookAgainMs);
}

bool is_number(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

/// Which lock file this is: agents with other state directories may run services of the same name.
std::string owner_of(int lock) {
  struct stat facts {};
  if (::fstat(lock, &facts) != 0) return "0";
  return std::to_string(facts.st_dev) + "." + std::to_string(facts.st_ino);
}

std::string prefix_of(const std::string& parent, const std::string& name, int lock) {
  return parent + "/infinilm-" + percent_encode(name) + "." + owner_of(lock) + "-";
}

/// Those above count what is below them too.
std::string oom_counter_of(std::string cgroup) {
  while (cgroup.size() > 1) {
    std::string counter = cgroup + "/memory.events";
    if (::access(counter.c_str(), R_OK) == 0) return counter;
    cgroup.erase(cgroup.rfind('/'));
  }
  return "/proc/vmstat";
}

}  // namespace

bool remove_cgroup(const std::string& path) {
  remove_tree(path);
  return ::access(path.c_str(), F_OK) != 0;
}

void end_old_cgroups(const std::string& parent, const std::string& name, int lock) {
  if (parent.empty()) return;
  const std::string prefix = prefix_of(parent, name, lock);
  for (const std::string& old : folders_in(parent)) {
    if (!old.starts_with(prefix) || !is_number(std::string_view(old).substr(prefix.size()))) continue;
    write_small_file(old + "/cgroup.kill", "1");
    await_empty(old);
    remove_tree(old);  // what is not empty yet is the next run's to remove
  }
}

RunCgroup::RunCgroup(const std::string& parent, const std::string& name) {
  make(parent, name);
  oom_counter_ = oom_counter_of(path_.empty() ? own_cgroup() : path_);
}

void RunCgroup::make(const std::string& parent, const std::string& name) {
  if (parent.empty()) return;
  end_old_cgroups(parent, name, kShimLock);
  const std::string path = prefix_of(parent, name, kShimLock) + std::to_string(::getpid());
  if (::mkdir(path.c_str(), 0755) != 0) return;
  if (::access((path + "/cgroup.procs").c_str(), W_OK) != 0) {
    ::rmdir(path.c_str());  // no cgroup v2
    return;
  }
  path_ = path;
}

std::string RunCgroup::procs_file() const { return path_.empty() ? "" : path_ + "/cgroup.procs"; }

bool RunCgroup::populated() const { return !path_.empty() && has_processes(path_); }

void RunCgroup::kill() const {
  if (!path_.empty()) write_small_file(path_ + "/cgroup.kill", "1");
}

void RunCgroup::remove() const {
  if (!path_.empty()) remove_tree(path_);
}

std::uint64_t RunCgroup::oom_kills() const { return oom_kill_count(read_small_file(oom_counter_)); }

}  // namespace svc::agent
