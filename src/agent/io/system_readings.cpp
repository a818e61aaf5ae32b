#include "agent/io/system_readings.hpp"

#include <linux/netlink.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "common/io/proc_scan.hpp"

namespace svc::agent {
namespace {

/// The kernel fills no more of its answer into one recv(2).
constexpr std::size_t kMessageBytes = 32 * 1024;
/// Far beyond what all ports of a machine can have.
constexpr int kMostMessages = 100'000;
/// Until the kernel is asked again after it refused: it will do so for ever, or memory was short.
constexpr Duration kAskAgain = std::chrono::minutes(1);

}  // namespace

bool SystemReadings::is_fresh(const std::optional<TimePoint>& read_at) const {
  return read_at && steady_now() - *read_at < keep_;
}

std::vector<ProcessFacts> SystemReadings::below(pid_t root) {
  if (!is_fresh(processes_at_)) {
    processes_ = scan_processes();
    processes_at_ = steady_now();
  }
  return descendants_of(processes_, root);
}

std::optional<PortUse> SystemReadings::port_use(std::uint16_t port) {
  const bool covered = port >= lowest_ && port <= highest_;
  lowest_ = std::min(lowest_, port);
  highest_ = std::max(highest_, port);
  if (!covered || !is_fresh(tables_at_)) {
    read_tables();
  }
  PortUse use;
  if (tables_.connections) {
    std::uint64_t in_flight = 0;
    for (const ConnectionFacts& connection : *tables_.connections) {
      if (connection.port != port) continue;
      ++use.connections;
      if (has_open_request(connection)) ++use.open_requests;
      if (has_open_request(connection, kAnsweredForLoad)) ++in_flight;
    }
    use.in_flight = in_flight;
    return use;
  }
  bool known = false;
  for (const std::string& text : tables_.texts) {
    known = known || !text.empty();
    use.connections += count_established(text, port);
  }
  use.open_requests = use.connections;
  return known ? std::optional(use) : std::nullopt;
}

void SystemReadings::read_tables() {
  tables_ = {};
  tables_at_ = steady_now();
  if (steady_now() >= ask_kernel_from_) {
    auto& connections = tables_.connections.emplace();
    if (ask_kernel(IpFamily::v4, connections)) {
      // A kernel without IPv6 refuses this half alone.
      static_cast<void>(ask_kernel(IpFamily::v6, connections));
      return;
    }
    tables_.connections.reset();
    ask_kernel_from_ = steady_now() + kAskAgain;
  }
  for (const char* table : {"/proc/self/net/tcp", "/proc/self/net/tcp6"}) {
    tables_.texts.push_back(read_small_file(table));
  }
}

bool SystemReadings::ask_kernel(IpFamily family, std::vector<ConnectionFacts>& connections) {
  if (!netlink_) {
    netlink_.reset(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG));
  }
  const std::string request = connections_request(family, lowest_, highest_);
  DiagAnswer answer = DiagAnswer::failed;
  if (netlink_ && ::send(netlink_.get(), request.data(), request.size(), MSG_DONTWAIT) > 0) {
    answer = DiagAnswer::more;
  }
  std::string message;
  for (int count = 0; answer == DiagAnswer::more && count < kMostMessages; ++count) {
    message.resize(kMessageBytes);
    // The kernel has each part of its answer ready before it is asked for.
    const ssize_t size = ::recv(netlink_.get(), message.data(), message.size(), MSG_DONTWAIT);
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) break;
    message.resize(static_cast<std::size_t>(size));
    answer = read_connections(message, connections);
  }
  if (answer != DiagAnswer::done) {
    netlink_.reset();  // what may still come belongs to no later question
  }
  return answer == DiagAnswer::done;
}

}  // namespace svc::agent
