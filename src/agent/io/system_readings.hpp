// What /proc and the kernel's table of connections say, read once for all services of an agent.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "agent/core/connection_facts.hpp"
#include "common/core/clock.hpp"
#include "common/core/process_tree.hpp"
#include "common/io/unique_fd.hpp"

namespace svc::agent {

struct PortUse {
  std::uint64_t connections = 0;    ///< established
  std::uint64_t open_requests = 0;  ///< those of them for which has_open_request(); all, where the kernel tells no more
  std::optional<std::uint64_t> in_flight;  ///< the same with kAnsweredForLoad; nullopt, where the kernel tells no more
};

/// Every answer may be `keep` old. One thread; never waits for anything but the kernel. A pass over /proc takes about 10 us for
/// each process of the machine, one over the connections some microseconds for each at the ports that were asked about (and what
/// lies between them).
class SystemReadings {
 public:
  static constexpr Duration kKeep{std::chrono::milliseconds(100)};
  explicit SystemReadings(Duration keep = kKeep) : keep_(keep) {}

  /// Descendants of a process, zombies included.
  [[nodiscard]] std::vector<ProcessFacts> below(pid_t root);
  /// Of the engine at this local port; nullopt: neither sock_diag nor /proc/net can be read.
  [[nodiscard]] std::optional<PortUse> port_use(std::uint16_t port);

  /// Only /proc/net from now on, as where sock_diag is not permitted.
  void avoid_sock_diag() { ask_kernel_from_ = TimePoint::max(); }

 private:
  struct Tables {
    std::optional<std::vector<ConnectionFacts>> connections;
    std::vector<std::string> texts;  ///< of /proc/net, when there are no connections
  };
  [[nodiscard]] bool is_fresh(const std::optional<TimePoint>& read_at) const;
  void read_tables();
  bool ask_kernel(IpFamily family, std::vector<ConnectionFacts>& connections);

  Duration keep_;
  std::vector<ProcessFacts> processes_;
  std::optional<TimePoint> processes_at_;
  Tables tables_;
  std::optional<TimePoint> tables_at_;
  std::uint16_t lowest_ = UINT16_MAX;  ///< of the ports that were asked about
  std::uint16_t highest_ = 0;
  UniqueFd netlink_;
  TimePoint ask_kernel_from_{};
};

}  // namespace svc::agent
