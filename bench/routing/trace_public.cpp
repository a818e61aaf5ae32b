// The published forms: Mooncake's JSON lines and Azure's CSV.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "bench/routing/trace_text.hpp"

namespace svc::routing {

void spread_ticks(std::vector<Request>& rows) {
  double width = 0;
  for (std::size_t begin = 0; begin < rows.size();) {
    std::size_t end = begin;
    while (end < rows.size() && rows[end].at == rows[begin].at) ++end;
    if (end < rows.size()) width = rows[end].at - rows[begin].at;  // the last tick is as wide as the one before
    for (std::size_t row = begin; row < end; ++row) {
      rows[row].at += width * static_cast<double>(row - begin) / static_cast<double>(end - begin);
    }
    begin = end;
  }
}

namespace {

std::optional<std::uint32_t> count_of(const nlohmann::json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_number_unsigned() || *found > (1U << 28U)) return std::nullopt;
  return found->get<std::uint32_t>();
}

}  // namespace

Result<Trace> parse_mooncake(std::string_view text, const std::string& name) {
  Trace trace;
  trace.name = "mooncake";
  TextLines lines(text);
  std::vector<BlockId> blocks;
  while (const auto line = lines.next()) {
    const auto object = nlohmann::json::parse(*line, nullptr, false);
    if (!object.is_object()) return lines.wrong(name, "not a JSON object");
    const auto stamp = count_of(object, "timestamp");
    const auto in = count_of(object, "input_length");
    const auto out = count_of(object, "output_length");
    const auto ids = object.find("hash_ids");
    if (!stamp || !in || !out || ids == object.end() || !ids->is_array()) {
      return lines.wrong(name, "expected the numbers timestamp, input_length and output_length and the list hash_ids");
    }
    blocks.clear();
    for (const auto& id : *ids) {
      if (!id.is_number_unsigned()) return lines.wrong(name, "hash_ids must be numbers");
      blocks.push_back(id.get<BlockId>());
    }
    Request request;
    request.at = static_cast<double>(*stamp) / 1000;
    request.in = std::max(*in, 1U);
    request.out = std::max(*out, 1U);
    trace.add(request, blocks);
  }
  std::stable_sort(trace.rows.begin(), trace.rows.end(), [](const auto& a, const auto& b) { return a.at < b.at; });
  spread_ticks(trace.rows);
  return trace;
}

Result<Trace> parse_azure(std::string_view text, const std::string& name) {
  Trace trace;
  trace.name = "azure";
  TextLines lines(text);
  lines.next();
  BlockId next = 0;
  std::vector<BlockId> blocks;
  while (auto line = lines.next()) {
    const auto stamp = stamp_seconds(take_field(*line, ','), ' ');
    const auto in = to_number<std::uint32_t>(take_field(*line, ','));
    const auto out = to_number<std::uint32_t>(*line);
    if (!stamp || !in || !out || *in > (1U << 28U) || *out > (1U << 28U)) {
      return lines.wrong(name, "expected a time as 2023-11-16 18:17:03.97 and two numbers of tokens");
    }
    Request request;
    request.at = *stamp;
    request.in = std::max(*in, 1U);
    request.out = std::max(*out, 1U);
    blocks.clear();  // who shares what is not published: every prompt is new
    for (std::uint32_t block = 0; block < *in / trace.block_tokens; ++block) blocks.push_back(next++);
    trace.add(request, blocks);
  }
  std::stable_sort(trace.rows.begin(), trace.rows.end(), [](const auto& a, const auto& b) { return a.at < b.at; });
  if (!trace.rows.empty()) {
    const auto begin = trace.rows.front().at;
    for (auto& row : trace.rows) row.at -= begin;
  }
  return trace;
}

}  // namespace svc::routing
