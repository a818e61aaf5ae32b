// Whole messages over a connected SOCK_SEQPACKET socket, without waiting.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace svc::agent {

enum class PacketResult : std::uint8_t {
  done,
  not_now,  ///< nothing is there to read, or no room to write
  ended,    ///< the other side is gone, or sent more than kMaxShimMessage
};

PacketResult receive_packet(int fd, std::string& message);
PacketResult send_packet(int fd, std::string_view message);

}  // namespace svc::agent
