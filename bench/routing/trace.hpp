// A record of requests to run again: when each came, how long its prompt and its answer were, which blocks of its prompt
// were those of others.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "bench/routing/block_cache.hpp"
#include "bench/routing/engine_model.hpp"
#include "common/core/result.hpp"

namespace svc::routing {

struct Request {
  static constexpr std::uint32_t kNobody = ~std::uint32_t{0};

  double at = 0;                  ///< seconds from the begin of the trace; of no meaning with `after`
  std::uint32_t in = 1;           ///< tokens of the prompt, at least 1
  std::uint32_t out = 1;          ///< tokens of the answer, at least 1
  std::uint64_t session = 0;      ///< of the client; 0 = none
  std::uint32_t after = kNobody;  ///< row of the request whose end it waits for
  double think = 0;               ///< seconds between that end and its coming
  std::uint32_t blocks_begin = 0, blocks_count = 0;
  double recorded_first = -1, recorded_total = -1;  ///< seconds from its coming, of an access log; -1: not known
};

struct Trace {
  std::string name;
  std::uint32_t block_tokens = 512;
  std::vector<Request> rows;
  std::vector<BlockId> block_ids;
  std::map<std::size_t, double> saturation;  ///< engines -> rate at which round robin saturates them; what is known
  std::size_t recorded_engines = 0;          ///< of an access log: upstreams that answered
  std::size_t left_out = 0;                  ///< rows that say too little: not finished, or without counts of tokens

  [[nodiscard]] Blocks blocks(const Request& request) const {
    return Blocks(block_ids).subspan(request.blocks_begin, request.blocks_count);
  }
  /// Ids are those of full blocks only: what is beyond them is dropped.
  void add(Request request, Blocks blocks);
};

/// What the text of a file is, told by its first line.
enum class TraceFormat : std::uint8_t {
  tr,        ///< `#trace NAME block=B rows=N`, then `t,in,out,session,after,think,id ranges`; also `saturation=N:R,...`
  mooncake,  ///< JSON lines with timestamp (ms), input_length, output_length, hash_ids
  azure,     ///< CSV with TIMESTAMP, ContextTokens, GeneratedTokens
  access_log,  ///< JSON lines of infinilm-router with `access_log: json`
};
[[nodiscard]] std::string_view to_string(TraceFormat format);

/// `name` is for messages. Errors name the line.
[[nodiscard]] Result<Trace> parse_trace(std::string_view text, const std::string& name);
/// A file as it is, or packed by gzip.
[[nodiscard]] Result<Trace> read_trace(const std::string& path);

/// What the client of this request calls its session; in a trace without any, by the second block, because the first one
/// is often a system prompt that all share; or else the prompt is taken to be the only one of its session.
[[nodiscard]] std::string session_name(const Request& request, Blocks blocks, std::uint32_t row);

/// Keeps the first `count` rows, without those that wait for others.
void keep_first(Trace& trace, std::size_t count);

/// Drops the requests that an engine of this model can never hold, and those that wait for them. Returns how many.
std::size_t drop_oversized(Trace& trace, const EngineModel& model);

}  // namespace svc::routing
