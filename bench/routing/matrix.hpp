// Every policy on every fleet at every load, and what came of it.
#pragma once

#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "bench/routing/metrics.hpp"
#include "bench/routing/options.hpp"

namespace svc::routing {

struct Cell {
  std::string trace;
  std::size_t engines = 0;
  std::optional<double> load;  ///< unless a rate was asked for
  double rate = 1;
  const PolicyKind* policy = nullptr;
  std::uint64_t seed = 1;
  Summary summary;
};

/// The trace of the options, without requests that no engine of theirs can hold; `note` gets a line on what is left out.
[[nodiscard]] Result<Trace> load_trace(const Options& options, const std::function<void(const std::string&)>& note);

/// `done` is called after each run. Without loads and rates: at the recorded rate.
[[nodiscard]] Result<void> run_matrix(const Trace& trace, const Options& options,
                                      const std::function<void(const Cell&)>& done);

/// Of an access log: what its requests met with when they were recorded, with first_token and latency alone. nullopt:
/// it does not say.
[[nodiscard]] std::optional<Summary> recorded(const Trace& trace);

[[nodiscard]] nlohmann::ordered_json to_json(const Cell& cell);

}  // namespace svc::routing
