// What earlier runs left behind when their shim and their agent were both killed: processes that nobody reaps any more
// are found by a variable in their environment.
#pragma once

#include <string>
#include <vector>

#include "common/core/process_tree.hpp"

namespace svc::agent {

/// Set for a shim by its agent, and so inherited by the whole run: names the run's lock file (device, inode) and the
/// service. Whoever holds the lock may end every other process that carries the same value.
inline constexpr char kRunMarker[] = "INFINILM_RUN";

/// The value for the run of this service whose lock file is open as `lock`; "" when that cannot be looked at.
[[nodiscard]] std::string run_marker(int lock, const std::string& name);

/// Every process of this value but this one, and those that have ended; "" = none. Reads the environment of all processes.
[[nodiscard]] std::vector<ProcessFacts> carriers_of(const std::string& marker_value);

/// SIGKILL to every process of this value but this one, and waits until they are gone, at most 5 s. Returns how many
/// there were. Reads the environment of all processes once when there is none.
int end_leftovers(const std::string& marker_value);

}  // namespace svc::agent
