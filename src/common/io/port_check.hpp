// Is a TCP port free to listen on, and if not, who has it?
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>

#include "common/core/ip_address.hpp"

namespace svc {

/// "" when the port can be bound now on that address (an IP address; what is none counts as all of IPv4), else a sentence fit for
/// a log: who holds it, as far as /proc shows it.
[[nodiscard]] std::string why_port_is_taken(std::uint16_t port, const std::string& address = "0.0.0.0");

/// The process that a connection to this address of this machine gets to; 0: nobody listens, or none whose files may be looked
/// at (those of other users are for root alone).
[[nodiscard]] pid_t listener_at(std::uint16_t port, const IpAddress& address);

/// Who listens on a port that answers: a process below the run's shim, or provably another one. `unknown`: no listener was
/// found (another network namespace), or none whose files may be looked at.
struct PortOwner {
  enum class Who : std::uint8_t { the_run, somebody_else, unknown };
  Who who = Who::unknown;
  std::string holder{};  ///< of somebody else: "pid 123 (python3)"
};

/// Reads the files of the run's processes; of all processes only when it is none of them.
[[nodiscard]] PortOwner owner_of_port(std::uint16_t port, pid_t shim);

}  // namespace svc
