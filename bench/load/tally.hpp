// What a run counted. Times and measured_* are of the measured window alone; the rest is of the whole run, so that a
// loss during the warm-up shows too.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string_view>

#include "bench/load/histogram.hpp"

namespace svc::load {

enum class Failure : std::uint8_t {
  connect,      ///< refused, or no local port
  reset,        ///< the connection broke before the answer was complete
  closed,       ///< it was closed before any byte of the answer
  truncated,    ///< it was closed in the middle of the answer
  timeout,      ///< silence for longer than --timeout
  status,       ///< another status than 200
  malformed,    ///< not HTTP
  error_event,  ///< the stream ended with an error event
  no_done,      ///< the stream looks complete but has no [DONE]
};
inline constexpr std::size_t kFailures = 9;
std::string_view to_string(Failure failure);

struct Tally {
  bool measuring = false;  ///< the window is open

  std::uint64_t begun = 0;
  std::uint64_t finished = 0;   ///< as they should
  std::uint64_t cancelled = 0;  ///< left by the client, on purpose
  std::uint64_t failed = 0;
  std::array<std::uint64_t, kFailures> failures{};
  std::map<int, std::uint64_t> statuses;  ///< those that are not 200
  std::uint64_t connections = 0;          ///< opened
  std::uint64_t bytes = 0;                ///< received

  std::uint64_t chunks = 0;
  std::uint64_t lost = 0;
  std::uint64_t duplicated = 0;
  std::uint64_t out_of_order = 0;

  std::uint64_t measured_requests = 0;  ///< finished or cancelled
  std::uint64_t measured_chunks = 0;
  std::uint64_t merged = 0;  ///< events that came in the HTTP chunk of the one before
  std::uint64_t reads = 0;   ///< reads from sockets that gave bytes

  Histogram latency;        ///< from the beginning (open loop: from when it was due) to the last byte
  Histogram first_byte;     ///< streams: to the first token
  Histogram chunk_latency;  ///< from the time stamp in the chunk until it was read
  Histogram lag;            ///< open loop: how late it was begun

  void add_failure(Failure failure) {
    ++failed;
    ++failures[static_cast<std::size_t>(failure)];
  }
  [[nodiscard]] std::uint64_t ended() const { return finished + cancelled + failed; }
  [[nodiscard]] bool clean() const { return failed == 0 && lost == 0 && duplicated == 0 && out_of_order == 0; }
};

}  // namespace svc::load
