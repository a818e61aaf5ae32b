// Listening sockets of the data path.
#pragma once

#include <cstdint>

#include "common/core/ip_address.hpp"

namespace svc::router {

/// Listening socket with SO_REUSEADDR and SO_REUSEPORT, non-blocking. -1 and errno on failure. Port 0: any.
int open_listener(const IpAddress& address, std::uint16_t port, int backlog);
void close_listener(int fd);
/// Before a listener is closed for good: no new handshake reaches it, those under way are completed. A SYN that comes
/// now is dropped, and sent again a second later by the client's kernel, to whoever listens on the port then. Without
/// this, what arrives between the last accept and the close would be reset. Best effort.
void refuse_handshakes(int fd);
[[nodiscard]] std::uint16_t bound_port(int fd);
/// Accepts one connection: non-blocking, close-on-exec, TCP_NODELAY. -1 and errno when there is none.
int accept_connection(int listener, IpAddress& peer);

}  // namespace svc::router
