// What a run was like for its users. The first tenth of the arrivals is left out: caches fill.
#pragma once

#include <cstdint>
#include <vector>

#include "bench/routing/simulation.hpp"

namespace svc::routing {

/// Seconds.
struct Times {
  double mean = 0, p50 = 0, p90 = 0, p99 = 0;
};
/// By nearest rank; all zero when empty. Sorts.
[[nodiscard]] Times times_of(std::vector<double>& values);

struct Summary {
  std::size_t requests = 0;
  Times first_token;       ///< from the arrival: what was held counts
  Times per_token;         ///< between tokens, mean of each request of two tokens or more
  Times latency;           ///< from the arrival to the last token
  Times held;              ///< from the arrival until it was sent
  double slo = 0;          ///< share: first token within max(2 s, 1.5 x its prefill on an empty engine), 200 ms a token
  double hits = 0;         ///< share of prompt tokens that were found in a cache
  double imbalance = 0;    ///< most prefilled tokens of an engine over the mean
  double output_rate = 0;  ///< tokens a second, over the time of the arrivals
};

inline constexpr double kWarmUp = 0.1;
inline constexpr double kSloFirstToken = 2, kSloColdPrefills = 1.5, kSloPerToken = 0.2;

[[nodiscard]] Summary summarise(const Trace& trace, const EngineModel& model, const RunResult& run);

}  // namespace svc::routing
