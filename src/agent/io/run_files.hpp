// The files by which agents and shims find each other and never start a second copy.
#pragma once

#include <string>

#include "common/core/result.hpp"

namespace svc::agent {

/// {state_dir}/{name}.lock (held by the shim), {name}.sock (it listens there), {name}.agent (held by the agent). Names
/// are percent-encoded; of a very long one the end is replaced by its hash.
struct RunFiles {
  RunFiles(const std::string& state_dir, const std::string& name);
  std::string lock, socket, agent_lock;
};

/// Makes the folder that such a file is to be in, for this user alone (0700), and what leads to it.
Result<void> make_folder_of(const std::string& file);

/// Opens (or makes) a lock file and takes it, without waiting; the descriptor, which is close-on-exec. Errors: the file
/// cannot be made (io_error); somebody holds it (conflict, retryable).
Result<int> take_lock(const std::string& path);

/// There is a run that an agent may attach to, whether its shim answers just now or not.
[[nodiscard]] bool is_kept(const RunFiles& files);

/// This service was run from this state directory before.
[[nodiscard]] bool had_runs(const RunFiles& files);

/// Writes this process's id into a lock file that it holds, for messages.
void write_holder(int lock);
/// The process id that a lock file names; "unknown" when it names none.
[[nodiscard]] std::string lock_holder(const std::string& path);

/// Takes the agent's lock for the life of the returned object. Error: another agent runs this service; says its pid.
class AgentLock {
 public:
  static Result<AgentLock> take(const RunFiles& files);
  AgentLock(AgentLock&& other) noexcept;
  AgentLock& operator=(AgentLock&& other) noexcept;
  AgentLock(const AgentLock&) = delete;
  AgentLock& operator=(const AgentLock&) = delete;
  ~AgentLock();

 private:
  explicit AgentLock(int fd) : fd_(fd) {}
  int fd_ = -1;
};

}  // namespace svc::agent
