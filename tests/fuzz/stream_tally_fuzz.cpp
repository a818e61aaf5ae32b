// An instance's answer as bytes, counted in pieces. The first byte seeds the pieces' sizes (0: all at once).
#include <algorithm>
#include <string>

#include "router/core/stream_tally.hpp"
#include "tests/fuzz/fuzz_check.hpp"

namespace {

using svc::fuzz::require;
using svc::router::StreamTally;
using svc::router::Usage;

bool same(const Usage& a, const Usage& b) {
  return a.prompt_tokens == b.prompt_tokens && a.completion_tokens == b.completion_tokens &&
         a.cached_tokens == b.cached_tokens && a.known == b.known && a.cached_known == b.cached_known;
}

StreamTally run(std::string_view in, unsigned seed, StreamTally::Kind kind) {
  StreamTally tally(kind);
  unsigned state = seed;
  while (!in.empty()) {
    state = state * 1103515245U + 12345U;
    const std::size_t piece = seed == 0 ? in.size() : (state >> 16U) % 24;  // also nothing at all
    const auto before = tally.events();
    const bool begun = tally.begun();
    tally.take(in.substr(0, piece));
    require(tally.events() >= before && tally.begun() >= begun, "what was seen stays seen");
    in.remove_prefix(std::min(piece, in.size()));
  }
  return tally;
}

}  // namespace

// NOLINTNEXTLINE(readability-identifier-naming): the name is libFuzzer's.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0 || size > StreamTally::kTailBytes) return 0;  // more is not kept
  const unsigned seed = data[0];
  const std::string input = svc::fuzz::text_of(data + 1, size - 1);
  for (const auto kind : {StreamTally::Kind::event_stream, StreamTally::Kind::json, StreamTally::Kind::opaque}) {
    const auto whole = run(input, 0, kind);
    const auto pieces = run(input, seed, kind);
    require(pieces.events() == whole.events() && pieces.begun() == whole.begun(), "pieces are counted as the whole is");
    require(pieces.done() == whole.done() && pieces.between_events() == whole.between_events(),
            "and end where it does");
    require(same(pieces.usage(), whole.usage()), "and have its usage");
    require(whole.events() <= input.size() / 2, "an event is two lines at least");
  }
  const auto twice = run(input + "\n\n" + input, seed, StreamTally::Kind::event_stream);
  const auto once = run(input + "\n\n", seed, StreamTally::Kind::event_stream);
  require(twice.events() >= once.events() && twice.done() >= once.done(), "more of a stream is no less");
  return 0;
}
