#include "bench/routing/matrix.hpp"

#include <cmath>
#include <nlohmann/json.hpp>

#include "bench/routing/saturation.hpp"

namespace svc::routing {
namespace {

constexpr std::size_t kUsualEngines = 8;

std::vector<std::size_t> fleets(const Trace& trace, const Options& options) {
  if (!options.engines.empty()) return options.engines;
  return {trace.recorded_engines > 0 ? trace.recorded_engines : kUsualEngines};
}

nlohmann::ordered_json to_json(const Times& times) {
  const auto rounded = [](double seconds) { return std::round(seconds * 1e6) / 1e6; };
  return {{"mean", rounded(times.mean)},
          {"p50", rounded(times.p50)},
          {"p90", rounded(times.p90)},
          {"p99", rounded(times.p99)}};
}

}  // namespace

Result<Trace> load_trace(const Options& options, const std::function<void(const std::string&)>& note) {
  auto trace = read_trace(options.trace);
  if (!trace) return trace;
  if (options.requests > 0) keep_first(*trace, options.requests);
  if (trace->left_out > 0) {
    note(std::to_string(trace->left_out) + " lines say too little to be run again, and are left out");
  }
  if (const auto dropped = drop_oversized(*trace, options.settings.model); dropped > 0) {
    note(std::to_string(dropped) + " requests do not fit into an engine of " +
         std::to_string(options.settings.model.kv_tokens) + " tokens, and are left out");
  }
  if (trace->rows.empty()) return invalid(options.trace + " has no request that fits into an engine");
  return trace;
}

Result<void> run_matrix(const Trace& trace, const Options& options, const std::function<void(const Cell&)>& done) {
  const auto policies = chosen_policies(options);
  if (!policies) return policies.error();
  const bool by_load = !options.loads.empty();
  auto steps = by_load ? options.loads : options.rates;
  if (steps.empty()) steps = {1};
  for (const auto engines : fleets(trace, options)) {
    auto settings = options.settings;
    settings.engines = engines;
    double unit = 1;
    if (by_load) {
      const auto found = saturation(trace, settings);
      if (!found) return found.error();
      unit = *found;
    }
    for (const auto step : steps) {
      settings.rate = step * unit;
      for (const auto* policy : *policies) {
        for (std::uint64_t more = 0; more < options.seeds; ++more) {
          settings.seed = options.settings.seed + more;
          Cell cell{trace.name,    engines, by_load ? std::optional(step) : std::nullopt, settings.rate, policy,
                    settings.seed, {}};
          cell.summary = summarise(trace, settings.model, simulate(trace, *policy, settings));
          done(cell);
        }
      }
    }
  }
  return {};
}

std::optional<Summary> recorded(const Trace& trace) {
  std::vector<double> first, latency;
  for (const auto& request : trace.rows) {
    if (request.recorded_first >= 0) first.push_back(request.recorded_first);
    if (request.recorded_total >= 0) latency.push_back(request.recorded_total);
  }
  if (first.empty()) return std::nullopt;
  Summary summary;
  summary.requests = first.size();
  summary.first_token = times_of(first);
  summary.latency = times_of(latency);
  return summary;
}

nlohmann::ordered_json to_json(const Cell& cell) {
  const auto& summary = cell.summary;
  nlohmann::ordered_json json = {{"trace", cell.trace}, {"engines", cell.engines}};
  if (cell.load) json["load"] = *cell.load;
  json["rate"] = cell.rate;
  json["policy"] = cell.policy->name;
  json["seed"] = cell.seed;
  json["requests"] = summary.requests;
  json["ttft_s"] = to_json(summary.first_token);
  json["slo_share"] = summary.slo;
  json["token_s"] = to_json(summary.per_token);
  json["latency_s"] = to_json(summary.latency);
  json["held_s"] = to_json(summary.held);
  json["hit_share"] = summary.hits;
  json["imbalance"] = summary.imbalance;
  json["output_tokens_per_s"] = summary.output_rate;
  return json;
}

}  // namespace svc::routing
