#include "bench/routing/trace.hpp"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <memory>

#include "bench/routing/trace_text.hpp"

namespace svc::routing {
namespace {

constexpr std::size_t kMostBytes = std::size_t{4} << 30U;

/// From `row` along the rows that it waits for. False: it comes back to itself.
bool ends(const std::vector<Request>& rows, std::size_t row, std::vector<bool>& known) {
  std::vector<std::size_t> way;
  for (std::size_t at = row; !known[at]; at = rows[at].after) {
    way.push_back(at);
    if (rows[at].after == Request::kNobody) break;
    if (way.size() > rows.size()) return false;
  }
  for (const auto at : way) known[at] = true;
  return true;
}

Result<TraceFormat> format_of(std::string_view text, const std::string& name) {
  const auto first = TextLines(text).next();
  if (!first) return invalid(name + " is empty");
  if (first->starts_with("#trace ")) return TraceFormat::tr;
  if (first->starts_with("TIMESTAMP,")) return TraceFormat::azure;
  if (first->starts_with("{") && first->find("\"input_length\"") != std::string_view::npos)
    return TraceFormat::mooncake;
  // Beside its other lines, in whichever form.
  if (text.find("\"logger\":\"access\"") != std::string_view::npos) return TraceFormat::access_log;
  return invalid(
      name +
      " is no trace: it does not begin as a .tr file (\"#trace \"), Mooncake's or Azure's, and has no line of "
      "an access log (the router writes them with --access-log json)");
}

Result<void> check_rows(const Trace& trace, const std::string& name) {
  if (trace.rows.empty()) return invalid(name + " has no request that can be run again");
  std::vector<bool> known(trace.rows.size());
  for (std::size_t row = 0; row < trace.rows.size(); ++row) {
    const auto after = trace.rows[row].after;
    if (after != Request::kNobody && after >= trace.rows.size()) {
      return invalid(name + ": request " + std::to_string(row) + " waits for request " + std::to_string(after) +
                     ", which does not exist");
    }
  }
  for (std::size_t row = 0; row < trace.rows.size(); ++row) {
    if (!ends(trace.rows, row, known)) {
      return invalid(name + ": request " + std::to_string(row) + " waits for itself");
    }
  }
  return {};
}

/// Drops these `found` rows and those that wait for them, over any number of steps. Returns how many in all.
std::size_t drop(Trace& trace, std::vector<bool>& dropped, std::size_t found) {
  const auto count = trace.rows.size();
  if (found == 0) return 0;
  for (std::size_t before = 0; before != found;) {
    before = found;
    for (std::size_t row = 0; row < count; ++row) {
      const auto after = trace.rows[row].after;
      if (dropped[row] || after == Request::kNobody || !dropped[after]) continue;
      dropped[row] = true;
      ++found;
    }
  }
  std::vector<std::uint32_t> place(count);
  std::uint32_t next = 0;
  for (std::size_t row = 0; row < count; ++row) place[row] = dropped[row] ? Request::kNobody : next++;
  std::vector<Request> kept;
  for (std::size_t row = 0; row < count; ++row) {
    if (dropped[row]) continue;
    kept.push_back(trace.rows[row]);
    if (kept.back().after != Request::kNobody) kept.back().after = place[kept.back().after];
  }
  trace.rows = std::move(kept);
  return found;
}

}  // namespace

std::string_view to_string(TraceFormat format) {
  switch (format) {
    case TraceFormat::tr: return "tr";
    case TraceFormat::mooncake: return "mooncake";
    case TraceFormat::azure: return "azure";
    case TraceFormat::access_log: return "access_log";
  }
  return "";
}

void Trace::add(Request request, Blocks blocks) {
  const auto full = std::min<std::size_t>(blocks.size(), request.in / block_tokens);
  request.blocks_begin = static_cast<std::uint32_t>(block_ids.size());
  request.blocks_count = static_cast<std::uint32_t>(full);
  const auto kept = blocks.first(full);
  block_ids.insert(block_ids.end(), kept.begin(), kept.end());
  rows.push_back(request);
}

Result<Trace> parse_trace(std::string_view text, const std::string& name) {
  const auto format = format_of(text, name);
  if (!format) return format.error();
  auto trace = [&] {
    switch (*format) {
      case TraceFormat::tr: return parse_tr(text, name);
      case TraceFormat::mooncake: return parse_mooncake(text, name);
      case TraceFormat::azure: return parse_azure(text, name);
      case TraceFormat::access_log: return Result<Trace>(parse_access_log(text));
    }
    return Result<Trace>(internal_error("no such format"));
  }();
  if (!trace) return trace;
  if (auto checked = check_rows(*trace, name); !checked) return checked.error();
  return trace;
}

Result<Trace> read_trace(const std::string& path) {
  // Reads what is not packed as it is.
  const std::unique_ptr<gzFile_s, int (*)(gzFile)> file(gzopen(path.c_str(), "rb"), gzclose);
  if (file == nullptr) return io_failed("cannot open " + path, std::strerror(errno));
  std::string text;
  std::array<char, 1U << 16U> buffer;
  for (;;) {
    const int got = gzread(file.get(), buffer.data(), buffer.size());
    if (got < 0) {
      int code = 0;
      const std::string problem = gzerror(file.get(), &code);
      return io_failed("cannot read " + path, code == Z_ERRNO ? std::strerror(errno) : problem);
    }
    if (got == 0) break;
    text.append(buffer.data(), static_cast<std::size_t>(got));
    if (text.size() > kMostBytes) return too_large(path + " has more than 4 GiB of text");
  }
  int code = 0;
  const std::string problem = gzerror(file.get(), &code);
  if (code != Z_OK) return io_failed("cannot read " + path + " to its end", problem);
  return parse_trace(text, path);
}

std::string session_name(const Request& request, Blocks blocks, std::uint32_t row) {
  if (request.session != 0) return "s" + std::to_string(request.session);
  if (blocks.empty()) return "r" + std::to_string(row);
  return "b" + std::to_string(blocks[blocks.size() > 1 ? 1 : 0]);
}

void keep_first(Trace& trace, std::size_t count) {
  if (count >= trace.rows.size()) return;
  std::vector<bool> dropped(trace.rows.size());
  std::fill(dropped.begin() + static_cast<std::ptrdiff_t>(count), dropped.end(), true);
  drop(trace, dropped, trace.rows.size() - count);
}

std::size_t drop_oversized(Trace& trace, const EngineModel& model) {
  std::vector<bool> dropped(trace.rows.size());
  std::size_t found = 0;
  for (std::size_t row = 0; row < trace.rows.size(); ++row) {
    const auto& request = trace.rows[row];
    dropped[row] = std::uint64_t{request.in} + request.out > model.kv_tokens;
    found += dropped[row] ? 1U : 0U;
  }
  found = drop(trace, dropped, found);
  trace.left_out += found;
  return found;
}

}  // namespace svc::routing
