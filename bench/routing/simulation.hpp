// A trace, a fleet of engines and a policy, from the first request to the last answer, in virtual time.
#pragma once

#include <cstdint>
#include <vector>

#include "bench/routing/policy.hpp"
#include "bench/routing/trace.hpp"

namespace svc::routing {

struct RunSettings {
  EngineModel model;
  std::size_t engines = 8;
  std::vector<double> speeds;          ///< of the engines in turn, relative; empty: all 1
  double rate = 1;                     ///< times are divided by it: arrivals and think times
  std::uint64_t stated_kv_tokens = 0;  ///< what the router is told of an engine's cache; 0: the truth
  bool kv_unstated = false;            ///< it is told nothing
  router::PrefixSettings prefix;
  std::uint64_t seed = 1;
};

/// One request, in the order of the trace's rows. Seconds of virtual time.
struct Passage {
  double arrived = 0, sent = 0, first_token = 0, ended = 0;
  std::uint32_t cached = 0;  ///< tokens that needed no prefill
  std::uint32_t engine = 0;
};

struct RunResult {
  std::vector<Passage> passages;
  std::vector<std::uint32_t> order;            ///< rows as they arrived
  std::vector<std::uint64_t> computed_tokens;  ///< prefilled, of each engine
};

/// The trace's requests all fit into an engine of the model (drop_oversized).
[[nodiscard]] RunResult simulate(const Trace& trace, const PolicyKind& policy, const RunSettings& settings);

}  // namespace svc::routing
