// What to simulate, as flags say it.
#pragma once

#include <string>
#include <vector>

#include "bench/routing/simulation.hpp"
#include "common/core/result.hpp"

namespace CLI {
class App;
}

namespace svc::routing {

struct Options {
  std::string trace;                  ///< path
  std::size_t requests = 0;           ///< only the first ones; 0: all
  std::vector<std::size_t> engines;   ///< empty: as many as the trace was recorded with, or 8
  std::vector<double> loads;          ///< relative to round robin's saturation
  std::vector<double> rates;          ///< relative to the trace's own, instead
  std::vector<std::string> policies;  ///< empty: all
  std::uint64_t seeds = 1;            ///< runs of each, with other dice for ties
  RunSettings settings;
};

/// Flags of every program that simulates.
void add_options(CLI::App& app, Options& options);
/// The policies by name, or the one that does not exist and the one that may have been meant.
[[nodiscard]] Result<std::vector<const PolicyKind*>> chosen_policies(const Options& options);
/// One line each, for help.
[[nodiscard]] std::string policy_help();

}  // namespace svc::routing
