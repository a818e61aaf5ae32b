#include "bench/routing/saturation.hpp"

#include <cmath>

#include "bench/routing/metrics.hpp"

namespace svc::routing {
namespace {

constexpr double kSlowest = 1e-4, kFastest = 1e6;  // rates that are tried
constexpr double kPrecision = 1.005;

bool saturated(const Trace& trace, RunSettings& settings, double rate) {
  settings.rate = rate;
  const auto run = simulate(trace, *find_policy("round_robin"), settings);
  return summarise(trace, settings.model, run).first_token.mean >= kSaturated;
}

}  // namespace

Result<double> find_saturation(const Trace& trace, RunSettings settings) {
  double low = 1;
  while (saturated(trace, settings, low)) {
    low /= 2;
    if (low < kSlowest) return invalid(trace.name + " saturates the engines at any rate: they are too slow for it");
  }
  double high = low * 2;
  while (!saturated(trace, settings, high)) {
    low = high;
    high *= 2;
    if (high > kFastest) {
      return invalid(trace.name + " saturates " + std::to_string(settings.engines) +
                     " engines at no rate: give a rate instead of a load");
    }
  }
  while (high / low > kPrecision) {
    const double middle = std::sqrt(low * high);
    (saturated(trace, settings, middle) ? high : low) = middle;
  }
  return std::sqrt(low * high);
}

Result<double> saturation(const Trace& trace, const RunSettings& settings) {
  const auto known = trace.saturation.find(settings.engines);
  if (known != trace.saturation.end() && settings.model == EngineModel{} && settings.speeds.empty()) {
    return known->second;
  }
  return find_saturation(trace, settings);
}

}  // namespace svc::routing
