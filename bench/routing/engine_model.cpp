#include "bench/routing/engine_model.hpp"

#include <algorithm>

namespace svc::routing {

double EngineModel::prefill(std::uint64_t in, std::uint64_t cached) const {
  double time = 0;
  for (std::uint64_t done = std::min(cached, in); done < in;) {
    const auto tokens = std::min<std::uint64_t>(chunk, in - done);
    time += step(tokens, context_pairs(done, tokens), 1, 0);
    done += tokens;
  }
  return time;
}

}  // namespace svc::routing
