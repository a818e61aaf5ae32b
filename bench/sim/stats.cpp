#include "bench/sim/stats.hpp"

#include <utility>

#include "common/core/json_text.hpp"

namespace svc::sim {

std::string to_json(const Stats& s) {
  const std::pair<const char*, std::uint64_t> values[] = {{"connections", s.connections},
                                                          {"connections_total", s.connections_total},
                                                          {"requests", s.requests},
                                                          {"bad_requests", s.bad_requests},
                                                          {"generations", s.generations},
                                                          {"active", s.active},
                                                          {"waiting", s.waiting},
                                                          {"peak_active", s.peak_active},
                                                          {"peak_waiting", s.peak_waiting},
                                                          {"completed", s.completed},
                                                          {"cancelled", s.cancelled},
                                                          {"tokens", s.tokens},
                                                          {"chunks", s.chunks},
                                                          {"cancelled_chunks", s.cancelled_chunks},
                                                          {"chunks_after_gone", s.chunks_after_gone},
                                                          {"prefix_hits", s.prefix_hits},
                                                          {"cached_tokens", s.cached_tokens},
                                                          {"prompt_tokens", s.prompt_tokens},
                                                          {"steps", s.steps},
                                                          {"late_us", s.late_us},
                                                          {"lost_us", s.lost_us},
                                                          {"faults", s.faults}};
  std::string out = "{";
  for (const auto& [name, value] : values) {
    if (out.size() > 1) out += ',';
    append_json_string(out, name);
    out += ':';
    append_json_int(out, value);
  }
  return out;
}

}  // namespace svc::sim
