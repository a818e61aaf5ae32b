#include "agent/io/shim/seq_packet.hpp"

#include <sys/socket.h>

#include <cerrno>

#include "agent/core/shim_protocol.hpp"

namespace svc::agent {

PacketResult receive_packet(int fd, std::string& message) {
  for (;;) {
    // Its size first: this is asked often, messages are rare, and a buffer for the longest would be large.
    ssize_t size = ::recv(fd, nullptr, 0, MSG_PEEK | MSG_TRUNC | MSG_DONTWAIT);
    if (size > 0) {
      if (static_cast<std::size_t>(size) > kMaxShimMessage) return PacketResult::ended;
      message.resize(static_cast<std::size_t>(size));
      size = ::recv(fd, message.data(), message.size(), MSG_DONTWAIT);
      if (size == static_cast<ssize_t>(message.size())) return PacketResult::done;
    }
    // ECONNRESET: the other side has closed without reading all that it was sent. The kernel says that once, and before
    // it gives out the last messages of that side.
    if (size < 0 && (errno == EINTR || errno == ECONNRESET)) continue;
    return size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK) ? PacketResult::not_now : PacketResult::ended;
  }
}

PacketResult send_packet(int fd, std::string_view message) {
  for (;;) {
    if (::send(fd, message.data(), message.size(), MSG_DONTWAIT | MSG_NOSIGNAL) >= 0) return PacketResult::done;
    if (errno == EINTR) continue;
    const bool full = errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS;
    return full ? PacketResult::not_now : PacketResult::ended;
  }
}

}  // namespace svc::agent
