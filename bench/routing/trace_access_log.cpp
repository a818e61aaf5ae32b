// The access log of infinilm-router as a trace. Its lines are written when requests end; what usage an engine did not
// tell is estimated from the bytes, by those requests of the same log of which it did.
#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "bench/routing/trace_text.hpp"
#include "router/core/prefix/prompt_shape.hpp"
#include "router/core/prefix/token_ratio.hpp"

namespace svc::routing {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kHexDigits = 8;  // of a hash in `prefix`
constexpr std::uint32_t kMostTokens = 1U << 28U;
constexpr double kBytesPerToken = router::TokenRatio::kLatin;  // of prompts, when no request of the log tells

struct Line {
  double at = 0;
  double in = 0, out = 0;  // tokens; 0: not told
  double bytes_in = 0, bytes_out = 0;
  bool stream = false;
  std::vector<BlockId> blocks;
  Request request;
};

double number(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_number() ? found->get<double>() : 0;
}

std::string_view text(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? std::string_view(found->get_ref<const std::string&>())
                                                     : std::string_view();
}

/// "0a1b2c3d.4e5f6071": of each router::kLoggedUnits of the prompt, with all before them.
std::optional<std::vector<BlockId>> parse_prefix(std::string_view text) {
  std::vector<BlockId> blocks;
  while (!text.empty()) {
    const auto hash = take_field(text, '.');
    const auto* end = hash.data() + hash.size();
    BlockId id = 0;
    if (hash.size() != kHexDigits || std::from_chars(hash.data(), end, id, 16).ptr != end) return std::nullopt;
    blocks.push_back(id);
  }
  return blocks;
}

/// Tokens for each byte, of those requests that tell both.
class Ratio {
 public:
  void add(double tokens, double bytes) {
    if (tokens <= 0 || bytes <= 0) return;
    tokens_ += tokens;
    bytes_ += bytes;
  }
  /// 0: nobody knows.
  [[nodiscard]] double tokens(double bytes) const { return bytes_ > 0 ? bytes * tokens_ / bytes_ : 0; }
  [[nodiscard]] double tokens_or(double bytes, double bytes_per_token) const {
    return bytes_ > 0 ? tokens(bytes) : bytes / bytes_per_token;
  }

 private:
  double tokens_ = 0, bytes_ = 0;
};

/// nullopt: no request that can be run again.
std::optional<Line> read_line(const Json& object) {
  if (text(object, "method") != "POST" || number(object, "status") != 200 || !text(object, "reason").empty()) {
    return std::nullopt;
  }
  const auto ended = stamp_seconds(text(object, "ts"), 'T');
  auto blocks = parse_prefix(text(object, "prefix"));
  if (!ended || !blocks) return std::nullopt;
  Line line;
  const double total = number(object, "total_ms") / 1000;
  line.at = *ended - total;
  line.in = number(object, "prompt_tokens");
  line.out = number(object, "completion_tokens");
  line.bytes_in = number(object, "bytes_in");
  line.bytes_out = number(object, "bytes_out");
  const auto stream = object.find("stream");
  line.stream = stream != object.end() && *stream == true;
  line.blocks = std::move(*blocks);
  if (object.contains("total_ms")) line.request.recorded_total = total;
  if (object.contains("ttft_ms")) line.request.recorded_first = number(object, "ttft_ms") / 1000;
  if (const auto session = text(object, "session"); !session.empty()) {
    line.request.session = std::hash<std::string_view>{}(session) | 1U;
  }
  return line;
}

std::uint32_t tokens(double value) {
  return static_cast<std::uint32_t>(std::clamp(std::round(value), 1.0, double{kMostTokens}));
}

/// A prompt is half a step longer than its hashes tell, on the average.
std::uint32_t tokens_per_hash(const std::vector<Line>& rows) {
  double prompts = 0;
  double steps = 0;
  for (const auto& row : rows) {
    if (row.in <= 0 || row.blocks.empty() || row.blocks.size() >= router::kMostLogged) continue;
    prompts += row.in;
    steps += static_cast<double>(row.blocks.size()) + 0.5;
  }
  return tokens(steps > 0 ? prompts / steps : router::kLoggedUnits / kBytesPerToken);
}

}  // namespace

Trace parse_access_log(std::string_view log) {
  Trace trace;
  trace.name = "access log";
  std::vector<Line> rows;
  std::set<std::string, std::less<>> upstreams;
  Ratio prompts, plain, streamed;
  TextLines lines(log);
  while (const auto line = lines.next()) {
    const auto object = Json::parse(*line, nullptr, false);
    if (!object.is_object() || text(object, "logger") != "access") continue;  // the daemon's other lines
    if (text(object, "method") != "POST") continue;                           // pages
    auto row = read_line(object);
    if (!row) {
      ++trace.left_out;
      continue;
    }
    if (const auto upstream = text(object, "upstream"); !upstream.empty()) upstreams.emplace(upstream);
    prompts.add(row->in, row->bytes_in);
    (row->stream ? streamed : plain).add(row->out, row->bytes_out);
    rows.push_back(std::move(*row));
  }
  std::stable_sort(rows.begin(), rows.end(), [](const Line& a, const Line& b) { return a.at < b.at; });
  for (auto& row : rows) {
    if (row.in <= 0) row.in = prompts.tokens_or(row.bytes_in, kBytesPerToken);
    if (row.out <= 0) row.out = (row.stream ? streamed : plain).tokens(row.bytes_out);
  }
  trace.block_tokens = tokens_per_hash(rows);
  for (auto& row : rows) {
    if (row.in <= 0 || row.out <= 0) {
      ++trace.left_out;
      continue;
    }
    row.request.at = row.at - rows.front().at;
    row.request.in = tokens(row.in);
    row.request.out = tokens(row.out);
    trace.add(row.request, row.blocks);
  }
  trace.recorded_engines = upstreams.size();
  return trace;
}

}  // namespace svc::routing
