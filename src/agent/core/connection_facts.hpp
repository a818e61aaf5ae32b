// The engine's side of its connections, as the kernel knows them (inet_diag of sock_diag(7)), and which of them have a
// request under way. Pure: io talks to the kernel.
//
// A connection has an open request when
//   - the engine has bytes to read, or the client bytes to acknowledge; or
//   - the client spoke last: it waits for its answer, however long that takes (a long prefill is silent); or
//   - the engine spoke last, less than kAnswered ago: an answer may be streaming. Later it counts as answered, and the
//     connection as one that is kept for the next request.
// One that has never carried a byte has none. The kernel's times have steps of a few milliseconds: when both spoke
// within one step the engine counts as the last, unless it has never said anything. A stream whose next part takes
// longer than kAnswered is taken for answered; an engine of uvicorn closes what it has answered after 5 s by itself.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/core/clock.hpp"

namespace svc::agent {

struct ConnectionFacts {
  struct History {
    std::uint64_t received = 0;      ///< bytes, ever
    std::uint64_t acknowledged = 0;  ///< bytes that arrived at the client, ever
    Duration since_received{};
    Duration since_sent{};
  };
  std::uint16_t port = 0;            ///< the local one
  std::uint32_t unread = 0;          ///< bytes
  std::uint32_t unacknowledged = 0;  ///< bytes written by the engine, sent or not
  std::optional<History> history;    ///< none before Linux 4.1: then it counts as having an open request
};

inline constexpr Duration kAnswered{std::chrono::seconds(10)};
/// The same for counting the load, where a stream that pauses for longer does less harm than ten seconds of answered ones.
inline constexpr Duration kAnsweredForLoad{std::chrono::seconds(1)};

[[nodiscard]] bool has_open_request(const ConnectionFacts& connection, Duration answered = kAnswered);

enum class IpFamily : std::uint8_t { v4, v6 };

/// A message for a NETLINK_SOCK_DIAG socket: all established connections whose local port is in [lowest, highest].
[[nodiscard]] std::string connections_request(IpFamily family, std::uint16_t lowest, std::uint16_t highest);

enum class DiagAnswer : std::uint8_t {
  more,    ///< another message follows
  done,    ///< that was the last one
  failed,  ///< the kernel refused, or this is none of its messages
};
/// Reads one message of the answer, adding to `connections`.
[[nodiscard]] DiagAnswer read_connections(std::string_view message, std::vector<ConnectionFacts>& connections);

}  // namespace svc::agent
