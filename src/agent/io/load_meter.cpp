#include "agent/io/load_meter.hpp"

#include <unistd.h>

#include "agent/core/process_tree.hpp"
#include "agent/io/shim/proc_scan.hpp"

namespace svc::agent {

std::optional<std::uint64_t> open_connections(std::uint16_t engine_port) {
  bool known = false;
  std::uint64_t count = 0;
  for (const char* table : {"/proc/self/net/tcp", "/proc/self/net/tcp6"}) {
    const std::string text = read_small_file(table);
    known = known || !text.empty();
    count += count_established(text, engine_port);
  }
  return known ? std::optional(count) : std::nullopt;
}

std::vector<pid_t> run_processes(pid_t shim) {
  std::vector<pid_t> pids;
  for (const auto& process : scan_descendants(shim)) {
    pids.push_back(process.pid);
  }
  return pids;
}

InstanceLoad measure_load(pid_t shim, std::uint16_t engine_port) {
  InstanceLoad load;
  load.open_connections = open_connections(engine_port);
  const auto processes = scan_descendants(shim);
  if (!processes.empty()) {
    const auto page = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
    std::uint64_t bytes = 0;
    for (const auto& process : processes) {
      bytes += process.rss_pages * page;
    }
    load.rss_bytes = bytes;
  }
  return load;
}

}  // namespace svc::agent
