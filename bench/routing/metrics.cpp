#include "bench/routing/metrics.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace svc::routing {

Times times_of(std::vector<double>& values) {
  if (values.empty()) return {};
  std::sort(values.begin(), values.end());
  const auto count = static_cast<double>(values.size());
  const auto at = [&](double share) {
    const auto rank = static_cast<std::size_t>(std::ceil(share * count));
    return values[std::max<std::size_t>(rank, 1) - 1];
  };
  return {std::accumulate(values.begin(), values.end(), 0.0) / count, at(0.5), at(0.9), at(0.99)};
}

Summary summarise(const Trace& trace, const EngineModel& model, const RunResult& run) {
  Summary summary;
  std::vector<double> first, per_token, latency, held;
  double kept = 0;
  double cached = 0;
  double prompts = 0;
  double answers = 0;
  const auto begin = static_cast<std::size_t>(kWarmUp * static_cast<double>(run.order.size()));
  for (std::size_t i = begin; i < run.order.size(); ++i) {
    const auto& request = trace.rows[run.order[i]];
    const auto& passage = run.passages[run.order[i]];
    first.push_back(passage.first_token - passage.arrived);
    latency.push_back(passage.ended - passage.arrived);
    held.push_back(passage.sent - passage.arrived);
    double pace = 0;
    if (request.out > 1) {
      pace = (passage.ended - passage.first_token) / static_cast<double>(request.out - 1);
      per_token.push_back(pace);
    }
    const double limit = std::max(kSloFirstToken, kSloColdPrefills * model.prefill(request.in));
    kept += first.back() <= limit && pace <= kSloPerToken ? 1 : 0;
    cached += passage.cached;
    prompts += request.in;
    answers += request.out;
  }
  summary.requests = first.size();
  if (first.empty()) return summary;
  const auto span = run.passages[run.order.back()].arrived - run.passages[run.order[begin]].arrived;
  summary.output_rate = span > 0 ? answers / span : 0;
  summary.slo = kept / static_cast<double>(first.size());
  summary.hits = prompts > 0 ? cached / prompts : 0;
  summary.first_token = times_of(first);
  summary.per_token = times_of(per_token);
  summary.latency = times_of(latency);
  summary.held = times_of(held);
  const auto& computed = run.computed_tokens;
  const auto total = std::accumulate(computed.begin(), computed.end(), 0.0);
  if (total > 0) {
    const auto most = static_cast<double>(*std::max_element(computed.begin(), computed.end()));
    summary.imbalance = most * static_cast<double>(computed.size()) / total;
  }
  return summary;
}

}  // namespace svc::routing
