// The process of a part of a deployment: started apart from the terminal, found again by its PID file, ended.
#pragma once

#include <sys/types.h>

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "common/core/clock.hpp"
#include "common/core/result.hpp"
#include "common/io/unique_fd.hpp"

namespace svc::ctl {

/// What a part's process carries in its environment: part_marker of the file's whole path.
[[nodiscard]] std::string marker_of(const std::string& pid_file);

struct RunningPart {
  pid_t pid = 0;
  double uptime_seconds = 0;
};

/// The part that the PID file is about, if it runs: the file's process when it is the one that was started as this part,
/// else any that was (the file is gone, or names a process of others). `program`: base name of the binary.
[[nodiscard]] std::optional<RunningPart> find_part(const std::string& pid_file, const std::string& program);

/// Does a process with this PID exist and run (a zombie does not)?
[[nodiscard]] bool is_running(pid_t pid);

struct LaunchOrder {
  std::vector<std::string> command;           ///< program (a path) and arguments
  std::string folder;                         ///< that it is started in
  std::string pid_file;                       ///< written; its folder is made
  std::string output;                         ///< its stdout and stderr; begun anew
  std::function<std::string()> is_free = {};  ///< asked when it does not run: why it cannot be started now; "" = it can
};

struct Launched {
  pid_t pid = 0;
  bool was_running = false;  ///< nothing was started
};

/// Starts it in a session of its own, with no input and no other open files, unless it runs. Two launches of one part do not
/// start it twice. Errors: it cannot be executed, a file cannot be written.
[[nodiscard]] Result<Launched> launch_part(const LaunchOrder& order);

/// A running part that is being ended; never signals a process that came by its PID later.
class EndingPart {
 public:
  /// nullopt: it is gone already.
  static std::optional<EndingPart> of(pid_t pid, const std::string& pid_file, const std::string& program);

  void signal(int number) const;
  /// True when it is gone.
  [[nodiscard]] bool wait(Duration at_most) const;

 private:
  explicit EndingPart(UniqueFd process) : process_(std::move(process)) {}
  UniqueFd process_;  ///< a pidfd
};

}  // namespace svc::ctl
