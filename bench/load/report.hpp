// What a run has to say: one JSON object for programs, some lines for people.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "bench/load/options.hpp"
#include "bench/load/run.hpp"
#include "bench/load/sim_stats.hpp"
#include "bench/load/tally.hpp"

namespace svc::load {

/// `generated`: chunks that the simulators made during the run, when they were asked.
nlohmann::ordered_json make_report(const Options& options, const Tally& tally, const Measured& measured,
                                   std::optional<std::uint64_t> generated);
/// Of the report.
std::string summary(const nlohmann::ordered_json& report);

}  // namespace svc::load
