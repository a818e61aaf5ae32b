#include "bench/load/trace_command.hpp"

#include <CLI/CLI.hpp>
#include <cmath>
#include <iomanip>
#include <iostream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "bench/load/trace_run.hpp"
#include "bench/routing/matrix.hpp"
#include "common/io/rlimit.hpp"

namespace svc::load {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kAfter =
    "FILE is what `infinilm-bench replay` takes. Prompts are made of words: four bytes a token, and equal as far as "
    "the "
    "trace says. Behind the proxy there are to be `infinilm-sim --kind vllm --pace model --speed SPEED --stamp`, with "
    "the "
    "same SPEED.\n"
    "Output: one line of JSON on stdout, in seconds of the trace's engines (real ones x SPEED); a summary on stderr.\n"
    "Exit code: 0; 1 when the file cannot be used, a request failed or a token was lost, repeated or out of order; 2 "
    "for "
    "wrong flags.";

struct Command {
  Options options;
  routing::Options trace;
  TraceSettings settings;
  std::string policy = "router";
};

int complain(const std::string& text, int code) {
  std::cerr << "infinilm-bench: " << text << '\n';
  return code;
}

void add_flags(CLI::App& app, Command& command) {
  app.add_option("FILE", command.trace.trace, "What was recorded")->required();
  app.add_option("--port", command.options.ports, "Of the proxy, on 127.0.0.1")
      ->required()
      ->check(CLI::Range(1, 65535))
      ->delimiter(',');
  app.add_option("--model", command.options.model, "Model that is asked for")->capture_default_str();
  app.add_option("--requests", command.trace.requests, "Only the first ones of the trace; 0: all")
      ->capture_default_str();
  app.add_option("--rate", command.settings.rate, "Relative to the recorded one")
      ->check(CLI::Range(1e-6, 1e6))
      ->capture_default_str();
  app.add_option("--speed", command.settings.speed,
                 "Of the engines, relative to those of the trace: it takes so many "
                 "times less")
      ->check(CLI::Range(0.001, 1e6))
      ->capture_default_str();
  app.add_option("--policy", command.policy, "What the proxy goes by, for the report")->capture_default_str();
  app.add_option("--pid", command.settings.pids, "Processes whose CPU time is told, with commas")->delimiter(',');
  const auto store = [&command](double value) {
    command.options.timeout = Duration(static_cast<Duration::rep>(std::llround(value * 1e9)));
  };
  store(60);
  app.add_option_function<double>("--timeout", store, "Real seconds of silence after which a request has failed")
      ->check(CLI::Range(0.001, 86400.0))
      ->default_str("60")
      ->run_callback_for_default(false);
}

double rounded(double value) { return std::round(value * 1000) / 1000; }

Json report(const Command& command, const routing::Trace& trace, const Tally& tally, const TraceResult& result) {
  const routing::PolicyKind policy{command.policy, command.policy, "", false, nullptr};
  routing::Cell cell{trace.name, 0, std::nullopt, command.settings.rate, &policy, 0, {}};
  cell.summary = routing::summarise(trace, command.trace.settings.model, result.run);
  auto json = routing::to_json(cell);
  // What only the engines know, or the router.
  for (const char* unknown : {"engines", "seed", "held_s", "imbalance"}) json.erase(unknown);
  json["mode"] = "trace";
  json["speed"] = command.settings.speed;
  json["real_seconds"] = rounded(result.real_seconds);
  json["failed"] = tally.failed;
  Json errors = Json::object();
  for (std::size_t i = 0; i < kFailures; ++i) {
    if (tally.failures[i] > 0) errors[std::string(to_string(static_cast<Failure>(i)))] = tally.failures[i];
  }
  json["errors"] = std::move(errors);
  json["tokens_lost_or_wrong"] = tally.lost + tally.duplicated + tally.out_of_order;
  json["connections"] = tally.connections;
  json["start_lag"] = tally.lag.to_json();
  json["cores"] = Json::array();
  for (const double cores : result.cores) json["cores"].push_back(rounded(cores));
  json["own_cores"] = rounded(result.own_cores);
  json["machine_share"] = rounded(result.machine_share);
  return json;
}

std::string summary(const Json& report) {
  std::ostringstream text;
  text << std::fixed << std::setprecision(2);
  const auto& first = report["ttft_s"];
  text << report["trace"].get<std::string>() << ", " << report["policy"].get<std::string>() << ": "
       << report["requests"] << " requests, failed " << report["failed"] << ' ' << report["errors"] << '\n'
       << "  first token " << first["mean"].get<double>() << " s mean, " << first["p50"].get<double>() << " / "
       << first["p90"].get<double>() << " / " << first["p99"].get<double>() << " (p50 / p90 / p99); found in caches "
       << report["hit_share"].get<double>() * 100 << " %\n"
       << "  machine     " << report["machine_share"].get<double>() * 100 << " % busy; this client "
       << report["own_cores"].get<double>() << " cores\n";
  return text.str();
}

}  // namespace

int trace_command(int argc, char** argv) {
  CLI::App app("Sends recorded requests in real time, and measures when their answers begin.", "infinilm-bench trace");
  Command command;
  command.options.mode = Mode::sse;
  add_flags(app, command);
  app.footer(kAfter);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  const auto trace =
      routing::load_trace(command.trace, [](const std::string& note) { static_cast<void>(complain(note, 0)); });
  if (!trace) return complain(trace.error().to_string(), 1);
  static_cast<void>(raise_open_file_limit());
  EventLoop loop;
  Tally tally;
  const auto result = TraceRun(command.options, loop, tally, *trace, command.settings).execute();
  if (!result) return complain(result.error().to_string(), 1);
  const auto json = report(command, *trace, tally, *result);
  std::cerr << summary(json);
  std::cout << json.dump() << '\n';
  return tally.clean() ? 0 : 1;
}

}  // namespace svc::load
