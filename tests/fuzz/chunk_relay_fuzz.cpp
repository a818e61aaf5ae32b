// A chunked body as bytes, relayed in pieces. The first byte seeds the pieces' sizes (0: all at once).
#include <algorithm>
#include <optional>
#include <string>

#include "router/core/http1/chunk_relay.hpp"
#include "tests/fuzz/fuzz_check.hpp"

namespace {

using svc::fuzz::require;
using svc::router::ChunkRelay;
using State = ChunkRelay::State;

struct Relayed {
  std::string out;
  std::string payload;
  std::size_t consumed = 0;
  State state = State::open;

  bool operator==(const Relayed&) const = default;
};

/// RFC 9112 section 7.1 by hand. `complete`: the last chunk came. nullopt: not well-formed.
struct Decoded {
  std::string payload;
  bool complete = false;
};

std::optional<Decoded> decode(std::string_view bytes) {
  Decoded decoded;
  while (!bytes.empty()) {
    const auto line = bytes.substr(0, bytes.find("\r\n"));
    if (line.size() == bytes.size() || line.empty() || line.size() > 16) return std::nullopt;
    if (line.find_first_not_of("0123456789abcdefABCDEF") != std::string_view::npos) return std::nullopt;
    const std::size_t size = std::stoull(std::string(line), nullptr, 16);
    bytes.remove_prefix(line.size() + 2);
    if (size > bytes.size()) return std::nullopt;
    decoded.payload.append(bytes.substr(0, size));
    bytes.remove_prefix(size);
    if (!bytes.starts_with("\r\n")) return std::nullopt;
    bytes.remove_prefix(2);
    if (size == 0) {
      decoded.complete = true;
      return bytes.empty() ? std::optional(decoded) : std::nullopt;
    }
  }
  return decoded;
}

Relayed run(std::string_view in, unsigned seed, ChunkRelay::Output output) {
  ChunkRelay relay(output);
  Relayed all;
  std::string reframed;
  unsigned state = seed;
  while (all.consumed < in.size() && all.state == State::open) {
    state = state * 1103515245U + 12345U;
    const std::size_t piece = seed == 0 ? in.size() : (state >> 16U) % 24;  // also nothing at all
    const auto offered = in.substr(all.consumed, piece);
    const auto step = relay.take(offered, reframed);
    require(step.consumed == offered.size() || step.state != State::open, "an open body takes all that comes");
    all.out += step.out;
    for (const std::string_view part : step.payload) {
      require(
          !part.empty() && part.data() >= offered.data() && part.data() + part.size() <= offered.data() + step.consumed,
          "payload lies in what came");
      all.payload += part;
    }
    all.consumed += step.consumed;
    all.state = step.state;
    if (output == ChunkRelay::Output::chunked) {
      const auto decoded = decode(all.out);
      require(decoded.has_value(), "what goes out is between chunks after every call");
      require(decoded->payload == all.payload, "and has the payload so far");
      require(decoded->complete == (all.state == State::done), "and ends with the body only");
    } else {
      require(all.out == all.payload, "plain is the payload");
    }
  }
  require(relay.payload_bytes() == all.payload.size(), "payload is counted");
  return all;
}

}  // namespace

// NOLINTNEXTLINE(readability-identifier-naming): the name is libFuzzer's.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0 || size > 4096) return 0;
  const unsigned seed = data[0];
  const std::string input = svc::fuzz::text_of(data + 1, size - 1);
  const Relayed whole = run(input, 0, ChunkRelay::Output::chunked);
  const Relayed pieces = run(input, seed, ChunkRelay::Output::chunked);
  require(pieces.state == whole.state && pieces.payload == whole.payload, "pieces mean the same as the whole");
  require(whole.state == State::broken || pieces.consumed == whole.consumed, "and end in the same place");
  require(run(input, seed, ChunkRelay::Output::plain).payload == whole.payload, "plain has the same payload");
  const Relayed again = run(whole.out, seed, ChunkRelay::Output::chunked);
  require(again.payload == whole.payload && again.state != State::broken, "what was relayed can be relayed");
  return 0;
}
