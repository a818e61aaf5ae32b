// Load of a trace, relative to what round robin can carry.
#pragma once

#include "bench/routing/simulation.hpp"
#include "common/core/result.hpp"

namespace svc::routing {

/// Round robin is called saturated when its mean time to first token is this (seconds).
inline constexpr double kSaturated = 10;

/// The rate (RunSettings::rate) at which round robin saturates these engines, to half a percent, by bisection. An error
/// when no rate does.
[[nodiscard]] Result<double> find_saturation(const Trace& trace, RunSettings settings);

/// The same; what the trace knows of it is taken from there, for engines of the usual model.
[[nodiscard]] Result<double> saturation(const Trace& trace, const RunSettings& settings);

}  // namespace svc::routing
