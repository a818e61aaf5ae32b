// The counters of GET /sim/stats. One thread.
#pragma once

#include <cstdint>
#include <string>

namespace svc::sim {

struct Stats {
  std::uint64_t connections = 0;  ///< open now
  std::uint64_t connections_total = 0;
  std::uint64_t requests = 0;      ///< whole requests, those to /sim/... aside
  std::uint64_t bad_requests = 0;  ///< that the parser refused
  std::uint64_t generations = 0;   ///< requests that entered the engine's queue
  std::uint64_t active = 0;        ///< running now
  std::uint64_t waiting = 0;       ///< queued now
  std::uint64_t peak_active = 0;
  std::uint64_t peak_waiting = 0;
  std::uint64_t completed = 0;         ///< generations that came to their end
  std::uint64_t cancelled = 0;         ///< that the client left
  std::uint64_t tokens = 0;            ///< generated
  std::uint64_t chunks = 0;            ///< SSE events with a token that were generated
  std::uint64_t cancelled_chunks = 0;  ///< those of them that belong to cancelled streams
  /// Generated for nobody: their write failed, or they came after the `sim_cancel_after` of their request.
  std::uint64_t chunks_after_gone = 0;
  std::uint64_t prefix_hits = 0;    ///< generations of which at least a block was cached
  std::uint64_t cached_tokens = 0;  ///< prompt tokens that needed no prefill
  std::uint64_t prompt_tokens = 0;
  std::uint64_t steps = 0;
  std::uint64_t late_us = 0;  ///< by which steps ended too late, all together: the machine is too slow for their times
  std::uint64_t lost_us = 0;  ///< of that, what the following steps did not make up for
  std::uint64_t faults = 0;   ///< requests or connections that a fault was done to
};

/// A JSON object, without its closing brace.
std::string to_json(const Stats& stats);

}  // namespace svc::sim
