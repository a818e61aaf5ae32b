// Is a TCP port free to listen on, and if not, who has it?
#pragma once

#include <cstdint>
#include <string>

namespace svc::agent {

/// "" when the port can be bound on all addresses now, else a sentence fit for a log: who holds it, as far as /proc shows it.
[[nodiscard]] std::string why_port_is_taken(std::uint16_t port);

}  // namespace svc::agent
