// What an engine costs: the time of one step of its batch (chunked prefill beside decodes, as vLLM schedules), and its
// sizes. The defaults are estimates for Qwen3-32B in bf16 on four A100-80 (tensor parallel): 8,000 prefill tokens a
// second, 2.1 MFLOP of attention per token and context token, 320 GB x 0.9 - 65.6 GB of weights - 10 GB for the rest
// over 256 KiB of KV cache a token. All times are seconds.
#pragma once

#include <cstdint>

namespace svc::routing {

struct EngineModel {
  double step_overhead = 1.5e-3;
  double shortest_pass = 14e-3;  ///< reading the weights once
  double prefill_token = 125e-6;
  double attention = 4.0e-9;      ///< per prefill token and token of its context
  double sequence = 50e-6;        ///< per request in the batch
  double decode_context = 41e-9;  ///< per token of context of the decoding requests
  std::uint32_t chunk = 1024;     ///< prefill tokens of a step at most
  std::uint32_t max_batch = 256;
  std::uint64_t kv_tokens = 800'000;
  double speed = 1;  ///< all times are divided by it

  bool operator==(const EngineModel&) const = default;

  /// `pairs`: sum over the step's prefill tokens of the context that each attends to. `context`: sum of the contexts of
  /// the decoding requests.
  [[nodiscard]] double step(std::uint64_t prefill, double pairs, std::uint64_t batch, std::uint64_t context) const {
    const double tokens = prefill_token * static_cast<double>(prefill);
    return (step_overhead + (tokens > shortest_pass ? tokens : shortest_pass) + attention * pairs +
            sequence * static_cast<double>(batch) + decode_context * static_cast<double>(context)) /
           speed;
  }

  /// Time to first token of a prompt of `in` tokens on an empty engine that has the first `cached` of them.
  [[nodiscard]] double prefill(std::uint64_t in, std::uint64_t cached = 0) const;
};

/// Context pairs of `tokens` that follow `before` others.
[[nodiscard]] inline double context_pairs(std::uint64_t before, std::uint64_t tokens) {
  return static_cast<double>(tokens) * (static_cast<double>(before) + static_cast<double>(tokens) / 2);
}

}  // namespace svc::routing
