#include "agent/io/load_meter.hpp"

#include <unistd.h>

#include "common/core/process_tree.hpp"

namespace svc::agent {

std::vector<pid_t> run_processes(SystemReadings& readings, pid_t shim) {
  std::vector<pid_t> pids;
  for (const auto& process : readings.below(shim)) {
    pids.push_back(process.pid);
  }
  return pids;
}

InstanceLoad measure_load(SystemReadings& readings, pid_t shim, std::uint16_t engine_port) {
  InstanceLoad load;
  if (const auto use = readings.port_use(engine_port)) {
    load.open_connections = use->connections;
    load.in_flight = use->in_flight;
  }
  const auto processes = readings.below(shim);
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
