#include "agent/io/cgroup_parent.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include "common/core/process_tree.hpp"
#include "common/io/proc_scan.hpp"

namespace svc::agent {

std::string own_cgroup() {
  const std::string mounts = read_small_file("/proc/self/mountinfo");
  const std::string own = read_small_file("/proc/self/cgroup");
  const std::string_view mount = cgroup2_mount(mounts);
  if (mount.empty()) return {};
  std::string folder(mount);
  if (const auto path = cgroup2_path(own); path != "/") folder += path;
  return folder;
}

std::string writable_cgroup() {
  const std::string folder = own_cgroup();
  if (folder.empty()) return {};
  const std::string trial = folder + "/infinilm-trial-" + std::to_string(::getpid());
  if (::mkdir(trial.c_str(), 0755) != 0) return {};
  // Old kernels (before 5.14) cannot kill a cgroup whole; then it is of no use here.
  const bool useful = ::access((trial + "/cgroup.kill").c_str(), W_OK) == 0;
  ::rmdir(trial.c_str());
  return useful ? folder : std::string();
}

}  // namespace svc::agent
