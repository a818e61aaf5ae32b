// The end of a run whose shim cannot bring it about: it is stopped, or hangs.
#pragma once

#include <functional>
#include <string>

#include "common/core/clock.hpp"
#include "common/core/process_tree.hpp"
#include "common/io/asio_aliases.hpp"

namespace svc::agent {

/// Whose processes they are. Nobody is signalled who is not, at that moment, below exactly this shim, or carries the
/// run's marker.
struct RunIdentity {
  ProcessFacts shim;   ///< as it was when its pid was known to be its own
  std::string marker;  ///< run_marker(); "" = nothing is known by it
  std::string cgroup;  ///< of this run alone; "" = none
};

/// SIGTERM to the process group of each rank that lives.
void terminate_ranks(const RunIdentity& run);

/// Is a process of the run left, the shim aside?
[[nodiscard]] bool engine_left(const RunIdentity& run);

/// SIGKILL to all that is left of the run, and last to the shim; again and again until nothing is, or `present` says that
/// another one may have begun. False: after 5 s something still is.
asio::awaitable<bool> kill_run(RunIdentity run, std::function<bool()> present);

/// The same, once and without waiting: what is forked at this moment may escape.
void kill_run_now(const RunIdentity& run);

/// Of a run that is over, and whose shim could not do it; "" = it has none. Kills what is in it, and waits at most 1 s
/// for it to be empty.
asio::awaitable<void> remove_group(std::string cgroup);

}  // namespace svc::agent
