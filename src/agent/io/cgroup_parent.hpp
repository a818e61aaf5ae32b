// Where this process is among the cgroups, and whether it may make some of its own (cgroup v2: as root, or delegated by
// systemd's Delegate=yes).
#pragma once

#include <string>

namespace svc::agent {

/// The directory of this process's cgroup v2; "" = none.
[[nodiscard]] std::string own_cgroup();

/// own_cgroup() when new ones can be made in it, else "". Makes one for a moment to find out.
[[nodiscard]] std::string writable_cgroup();

}  // namespace svc::agent
