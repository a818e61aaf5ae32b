// What the engine simulators behind the proxy say about themselves (GET /sim/stats).
#pragma once

#include <cstdint>

#include "bench/load/options.hpp"
#include "common/core/result.hpp"

namespace svc::load {

struct SimStats {
  std::uint64_t chunks = 0;  ///< generated, by all of them together
  std::uint64_t active = 0;  ///< requests that are being answered
  friend bool operator==(const SimStats&, const SimStats&) = default;
};

/// Of all options.sim_ports. Waits for the answers.
Result<SimStats> read_sim_stats(const Options& options);
/// As soon as they generate nothing more, or after five seconds.
Result<SimStats> settled_sim_stats(const Options& options);

}  // namespace svc::load
