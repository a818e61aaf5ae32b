// Whether this process may make cgroups of its own (cgroup v2: as root, or delegated by systemd's Delegate=yes).
#pragma once

#include <string>

namespace svc::agent {

/// The directory of this process's cgroup when new ones can be made in it, else "". Makes one for a moment to find out.
[[nodiscard]] std::string writable_cgroup();

}  // namespace svc::agent
