// The shim process: `infinilm-agent` started again under another name, before anything else of the daemon is set up.
// A thread with poll(2), one that writes the log, no Asio. See core/shim_protocol.hpp for what it is for.
//
// How it keeps its promise: it is its own session and a child subreaper, so every process of the run stays its
// descendant whatever it forks or setsid()s; each rank has its own session and dies with the shim (parent-death signal,
// fork from the main thread while it is the only one, parent checked after prctl); where the agent may write to cgroup v2 the run also has its
// own cgroup, killed whole. It ignores SIGTERM, SIGINT and SIGHUP: only orders and the loss of its agent end it.
#pragma once

namespace svc::agent {

inline constexpr char kShimArgument[] = "--internal-shim";  ///< argv[1]
inline constexpr int kShimSocket = 3;                       ///< SOCK_SEQPACKET to the agent, inherited
inline constexpr int kShimLock = 4;  ///< the run's lock file, flock()ed; held while the shim lives

/// Is this process to be a shim? Then main() returns run_shim().
[[nodiscard]] bool is_shim(int argc, const char* const* argv);
int run_shim();

}  // namespace svc::agent
