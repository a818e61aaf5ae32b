#include <cmath>

#include "bench/routing/trace_text.hpp"

namespace svc::routing {
namespace {

constexpr std::size_t kMostBlocks = 1U << 20U;  // of one prompt
constexpr std::uint32_t kMostTokensOfRow = 1U << 28U;

struct Header {
  std::string name;
  std::uint32_t block_tokens = 512;
  std::optional<std::size_t> rows;
  std::map<std::size_t, double> saturation;
};

/// "4:0.35,8:0.69"
bool parse_saturation(std::string_view text, std::map<std::size_t, double>& out) {
  while (!text.empty()) {
    auto pair = take_field(text, ',');
    const auto engines = to_number<std::size_t>(take_field(pair, ':'));
    const auto rate = to_number<double>(pair);
    if (!engines || !rate || !std::isfinite(*rate) || *rate <= 0) return false;
    out[*engines] = *rate;
  }
  return true;
}

std::optional<Header> parse_header(std::string_view line) {
  Header header;
  take_field(line, ' ');
  header.name = take_field(line, ' ');
  while (!line.empty()) {
    auto word = take_field(line, ' ');
    const auto key = take_field(word, '=');
    const auto value = to_number<std::uint32_t>(word);
    if (key == "saturation") {
      if (!parse_saturation(word, header.saturation)) return std::nullopt;
    } else if (key == "block" && value && *value > 0) {
      header.block_tokens = *value;
    } else if (key == "rows" && value) {
      header.rows = *value;
    } else if (key == "block" || key == "rows") {
      return std::nullopt;
    }
  }
  return header;
}

/// "0 14-26": both ends included.
bool parse_ranges(std::string_view text, std::vector<BlockId>& out) {
  out.clear();
  while (!text.empty()) {
    auto range = take_field(text, ' ');
    if (range.empty()) continue;
    const auto begin = to_number<BlockId>(take_field(range, '-'));
    const auto end = range.empty() ? begin : to_number<BlockId>(range);
    if (!begin || !end || *end < *begin || *end - *begin >= kMostBlocks - out.size()) return false;
    for (BlockId id = *begin; id <= *end; ++id) out.push_back(id);
  }
  return true;
}

}  // namespace

Result<Trace> parse_tr(std::string_view text, const std::string& name) {
  TextLines lines(text);
  const auto header = parse_header(*lines.next());
  if (!header)
    return lines.wrong(name, "expected #trace NAME block=NUMBER rows=NUMBER, and perhaps saturation=ENGINES:RATE,...");
  Trace trace;
  trace.name = header->name;
  trace.block_tokens = header->block_tokens;
  trace.saturation = header->saturation;
  std::vector<BlockId> blocks;
  while (auto line = lines.next()) {
    const auto at = to_number<double>(take_field(*line, ','));
    const auto in = to_number<std::uint32_t>(take_field(*line, ','));
    const auto out = to_number<std::uint32_t>(take_field(*line, ','));
    const auto session = to_number<std::int64_t>(take_field(*line, ','));
    const auto after = to_number<std::int64_t>(take_field(*line, ','));
    const auto think = to_number<double>(take_field(*line, ','));
    if (!at || !in || !out || !session || !after || !think) {
      return lines.wrong(name, "expected t,in,out,session,after,think,id ranges");
    }
    if (*in > kMostTokensOfRow || *out > kMostTokensOfRow)
      return lines.wrong(name, "more tokens than any engine can hold");
    if (!std::isfinite(*at) || !std::isfinite(*think) || *think < 0) return lines.wrong(name, "a time out of range");
    if (!parse_ranges(*line, blocks)) return lines.wrong(name, "block ids are numbers and ranges: \"0 14-26\"");
    Request request;
    request.at = *at;
    request.in = std::max(*in, 1U);
    request.out = std::max(*out, 1U);
    request.session = *session < 0 ? 0 : static_cast<std::uint64_t>(*session) + 1;
    if (*at < 0) {
      if (*after < 0 || *after >= Request::kNobody) {
        return lines.wrong(name, "a request without a time needs the row that it waits for");
      }
      request.at = 0;
      request.after = static_cast<std::uint32_t>(*after);
      request.think = *think;
    }
    trace.add(request, blocks);
  }
  if (header->rows && *header->rows != trace.rows.size()) {
    return invalid(name + " has " + std::to_string(trace.rows.size()) + " rows, and its first line says " +
                   std::to_string(*header->rows));
  }
  return trace;
}

}  // namespace svc::routing
