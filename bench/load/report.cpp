#include "bench/load/report.hpp"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <sstream>

namespace svc::load {
namespace {

using Json = nlohmann::ordered_json;

double rounded(double value) { return std::round(value * 1000) / 1000; }

double ratio(double value, std::uint64_t units) { return units == 0 ? 0 : rounded(value / static_cast<double>(units)); }

double seconds(Duration value) { return std::chrono::duration<double>(value).count(); }

void add_errors(Json& report, const Tally& tally) {
  Json errors = Json::object();
  for (std::size_t i = 0; i < kFailures; ++i) {
    if (tally.failures[i] > 0) {
      errors[std::string(to_string(static_cast<Failure>(i)))] = tally.failures[i];
    }
  }
  report["errors"] = std::move(errors);
  if (!tally.statuses.empty()) {
    Json statuses = Json::object();
    for (const auto& [status, count] : tally.statuses) {
      statuses[std::to_string(status)] = count;
    }
    report["statuses"] = std::move(statuses);
  }
}

void add_chunks(Json& report, const Tally& tally, double window) {
  report["chunks"] = tally.measured_chunks;
  report["chunks_per_second"] = rounded(static_cast<double>(tally.measured_chunks) / window);
  report["chunks_lost"] = tally.lost;
  report["chunks_duplicated"] = tally.duplicated;
  report["chunks_out_of_order"] = tally.out_of_order;
  report["chunks_merged"] = tally.merged;
  report["chunks_per_read"] = ratio(static_cast<double>(tally.measured_chunks), tally.reads);
  report["chunk_latency"] = tally.chunk_latency.to_json();
  report["first_token"] = tally.first_byte.to_json();
}

void add_process(Json& report, const Options& options, const Tally& tally, const Measured& measured) {
  const auto& end = measured.window_end;
  const double cpu_us = seconds(end.cpu - measured.window_start.cpu) * 1e6;
  const double kernel_us = seconds(end.kernel - measured.window_start.kernel) * 1e6;
  report["cpu_ms"] = rounded(cpu_us / 1000);
  report["cpu_share_of_one_core"] = rounded(cpu_us / 1e6 / seconds(measured.window));
  report["cpu_kernel_share"] = cpu_us > 0 ? rounded(std::min(1.0, kernel_us / cpu_us)) : 0.0;
  report["threads"] = end.threads;
  report["cpu_us_per_request"] = ratio(cpu_us, tally.measured_requests);
  if (options.streaming()) {
    report["cpu_us_per_chunk"] = ratio(cpu_us, tally.measured_chunks);
  }
  report["rss_bytes"] = end.rss_bytes;
  report["pss_bytes"] = end.pss_bytes;
  if (options.streaming()) {
    report["rss_per_stream"] =
        ratio(static_cast<double>(end.rss_bytes - measured.before_load.rss_bytes), measured.open_streams);
    report["pss_per_stream"] =
        ratio(static_cast<double>(end.pss_bytes - measured.before_load.pss_bytes), measured.open_streams);
  }
}

std::string times(const Json& latency) {
  std::ostringstream text;
  text << latency["p50_us"] << " / " << latency["p90_us"] << " / " << latency["p99_us"] << " / " << latency["p99.9_us"]
       << " / " << latency["max_us"] << " us";
  return text.str();
}

}  // namespace

Json make_report(const Options& options, const Tally& tally, const Measured& measured,
                 std::optional<std::uint64_t> generated) {
  const double window = std::max(seconds(measured.window), 1e-9);
  Json report{{"mode", to_string(options.mode)},
              {"loop", options.rate <= 0 ? "closed"
                       : options.even    ? "even"
                                         : "poisson"},
              {"clients", options.clients},
              {"seconds", rounded(window)},
              {"clean", tally.clean()},
              {"requests", tally.measured_requests},
              {"requests_per_second", rounded(static_cast<double>(tally.measured_requests) / window)},
              {"latency", tally.latency.to_json()}};
  if (options.rate > 0) {
    report["rate"] = options.rate;
    report["start_lag"] = tally.lag.to_json();
  }
  if (options.streaming()) {
    add_chunks(report, tally, window);
    report["open_streams"] = measured.open_streams;
  }
  report["total"] =
      Json{{"begun", tally.begun},         {"finished", tally.finished}, {"cancelled", tally.cancelled},
           {"failed", tally.failed},       {"chunks", tally.chunks},     {"connections", tally.connections},
           {"bytes_received", tally.bytes}};
  add_errors(report, tally);
  if (generated) {
    const std::uint64_t for_nobody = *generated - std::min(*generated, tally.chunks);
    report["chunks_generated"] = *generated;
    report["chunks_for_nobody"] = for_nobody;
    report["chunks_for_nobody_per_cancel"] = ratio(static_cast<double>(for_nobody), tally.cancelled);
  }
  if (options.pid != 0) {
    add_process(report, options, tally, measured);
  }
  return report;
}

std::string summary(const Json& report) {
  std::ostringstream text;
  text << report["mode"].get<std::string>() << ", " << report["loop"].get<std::string>() << " loop, "
       << report["clients"] << " clients, " << report["seconds"] << " s\n"
       << "  requests    " << report["requests"] << " (" << report["requests_per_second"] << "/s), failed "
       << report["total"]["failed"] << ' ' << report["errors"] << '\n'
       << "  latency     " << times(report["latency"]) << " (p50 / p90 / p99 / p99.9 / max)\n";
  if (report.contains("chunks")) {
    text << "  chunks      " << report["chunks"] << " (" << report["chunks_per_second"] << "/s), lost "
         << report["chunks_lost"] << ", duplicated " << report["chunks_duplicated"] << ", out of order "
         << report["chunks_out_of_order"] << ", merged " << report["chunks_merged"] << '\n'
         << "  chunk late  " << times(report["chunk_latency"]) << '\n'
         << "  first token " << times(report["first_token"]) << '\n';
  }
  if (report.contains("chunks_for_nobody")) {
    text << "  for nobody  " << report["chunks_for_nobody"] << " chunks of " << report["chunks_generated"] << ", "
         << report["chunks_for_nobody_per_cancel"] << " per cancel\n";
  }
  if (report.contains("cpu_ms")) {
    text << "  process     " << report["cpu_us_per_request"] << " us per request";
    if (report.contains("cpu_us_per_chunk")) {
      text << ", " << report["cpu_us_per_chunk"] << " us per chunk, " << report["rss_per_stream"]
           << " B RSS per stream";
    }
    text << "; " << report["cpu_share_of_one_core"] << " of a core, kernel " << report["cpu_kernel_share"] << '\n';
  }
  return text.str();
}

}  // namespace svc::load
