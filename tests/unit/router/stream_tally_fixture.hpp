// A stream or an answer, given to a tally in pieces.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>

#include "router/core/stream_tally.hpp"

namespace svc::router {

using Kind = StreamTally::Kind;

inline StreamTally tally_of(std::string_view stream, std::size_t piece = std::string_view::npos,
                            Kind kind = Kind::event_stream) {
  StreamTally tally(kind);
  for (; !stream.empty(); stream.remove_prefix(std::min(piece, stream.size()))) tally.take(stream.substr(0, piece));
  return tally;
}

inline constexpr std::string_view kChunk =
    R"(data: {"id":"cmpl-1","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"x"}}]})"
    "\n\n";

}  // namespace svc::router
