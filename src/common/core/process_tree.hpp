// Who descends from whom, read from /proc texts. Pure: io reads the files.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace svc {

struct ProcessFacts {
  pid_t pid = 0;
  pid_t parent = 0;
  pid_t group = 0;
  pid_t session = 0;
  char state = '?';               ///< 'Z' = zombie; also while only its first thread has ended
  std::uint64_t start_ticks = 0;  ///< with the pid: who it is, also after the pid was used again
  std::uint64_t rss_pages = 0;
  std::uint32_t threads = 1;  ///< one that has ended counts until it is reaped
};

/// All of its threads have ended: it runs no more, and waits at most to be reaped.
[[nodiscard]] bool has_ended(const ProcessFacts& process);

/// /proc/PID/stat; the command's name may hold blanks and parentheses.
[[nodiscard]] std::optional<ProcessFacts> parse_process_stat(std::string_view text);

/// All processes below `root` (itself not included), parents before children; zombies too.
[[nodiscard]] std::vector<ProcessFacts> descendants_of(std::span<const ProcessFacts> all, pid_t root);

/// Established connections whose local port is `port`, in the text of /proc/net/tcp or tcp6.
[[nodiscard]] std::size_t count_established(std::string_view net_tcp, std::uint16_t port);

/// The kernel's count of OOM kills in the text of /proc/vmstat ("oom_kill N") or a cgroup's memory.events; 0 when
/// absent.
[[nodiscard]] std::uint64_t oom_kill_count(std::string_view text);

/// The mount point of cgroup v2 in /proc/self/mountinfo, and this process's path in /proc/self/cgroup ("0::/..."); "" =
/// none.
[[nodiscard]] std::string_view cgroup2_mount(std::string_view mountinfo);
[[nodiscard]] std::string_view cgroup2_path(std::string_view self_cgroup);

}  // namespace svc
