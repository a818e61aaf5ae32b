// Text for a recorded request: as long as the prompt was, equal to those of others exactly as far as the trace says that
// they had blocks in common. Four bytes are a token, as infinilm-sim counts: a word of three letters and a blank.
#pragma once

#include <cstdint>
#include <string>

#include "bench/load/options.hpp"
#include "bench/routing/trace.hpp"

namespace svc::load {

/// The content of the one message whose prompt, as infinilm-sim's chat template renders it, has as many tokens as the
/// recorded one. No character of it needs an escape in JSON.
[[nodiscard]] std::string prompt_text(const routing::Trace& trace, std::uint32_t row);

/// Head and body: a streamed chat request with that text, an answer as long as the recorded one, and the name of its
/// session in X-Session-Id, where only the router's method `session` looks.
[[nodiscard]] std::string trace_request(const Options& options, const routing::Trace& trace, std::uint32_t row);

}  // namespace svc::load
