// The cgroup v2 of one run, where the agent may make one: everything in it can be killed at once, whatever it forks.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>

namespace svc::agent {

class RunCgroup {
 public:
  /// Makes {parent}/infinilm-{name}.{device and inode of the run's lock}-{pid of this process}, and ends and removes
  /// what earlier runs under that lock left there: this process holds it, so none of them lives. (By the name alone it
  /// would be the service of another agent.) Without a parent, or where it cannot be made, the object is empty and does
  /// nothing.
  RunCgroup(const std::string& parent, const std::string& name);
  ~RunCgroup() = default;
  RunCgroup(const RunCgroup&) = delete;
  RunCgroup& operator=(const RunCgroup&) = delete;

  [[nodiscard]] const std::string& path() const { return path_; }  ///< "" = none
  [[nodiscard]] std::string procs_file() const;                    ///< "" = none
  [[nodiscard]] bool populated() const;
  void kill() const;
  /// With the cgroups that the engine made in it. To be called when it is empty.
  void remove() const;

  /// Kills by the kernel for want of memory so far: in this cgroup or the nearest one above it that counts them, without
  /// a cgroup in this process's own; where none of these counts, on the whole machine.
  [[nodiscard]] std::uint64_t oom_kills() const;

 private:
  void make(const std::string& parent, const std::string& name);

  std::string path_;
  std::string oom_counter_;
};

/// Ends and removes what earlier runs under this lock left below `parent` ("" = nothing). Only for who holds it, as with
/// RunCgroup. Waits at most half a second for each.
void end_old_cgroups(const std::string& parent, const std::string& name, int lock);

/// Of a run whose shim cannot do it any more. False: something is in it still.
bool remove_cgroup(const std::string& path);

}  // namespace svc::agent
