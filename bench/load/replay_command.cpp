#include "bench/load/replay_command.hpp"

#include <CLI/CLI.hpp>
#include <iostream>
#include <nlohmann/json.hpp>

#include "bench/routing/comparison.hpp"
#include "bench/routing/matrix.hpp"

namespace svc::load {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kAfter =
    "FILE is the log of a router with --access-log json, a .tr file (bench/routing/traces), or one of Mooncake's or "
    "Azure's traces; packed by gzip or not. Nothing is sent anywhere: engines are a model (docs/routing.md), whose "
    "numbers below should be those of yours.\n"
    "Output: one line of JSON on stdout, a table on stderr; times in seconds.\n"
    "Exit code: 0; 1 when the file cannot be used; 2 for wrong flags.";

int complain(const std::string& text, int code) {
  std::cerr << "infinilm-bench: " << text << '\n';
  return code;
}

Json recorded_json(const routing::Summary& summary) {
  return {{"requests", summary.requests},
          {"ttft_s", {{"mean", summary.first_token.mean}, {"p99", summary.first_token.p99}}},
          {"latency_s", {{"mean", summary.latency.mean}, {"p99", summary.latency.p99}}}};
}

}  // namespace

int replay_command(int argc, char** argv) {
  CLI::App app("Runs recorded requests against another policy or another number of engines, in virtual time.",
               "infinilm-bench replay");
  routing::Options options;
  app.add_option("FILE", options.trace, "What was recorded")->required();
  routing::add_options(app, options);
  app.add_option("--seed", options.settings.seed, "Of the dice for ties")->capture_default_str();
  app.footer(routing::policy_help() + '\n' + kAfter);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  if (const auto chosen = routing::chosen_policies(options); !chosen) return complain(chosen.error().to_string(), 2);
  const auto trace =
      routing::load_trace(options, [](const std::string& note) { static_cast<void>(complain(note, 0)); });
  if (!trace) return complain(trace.error().to_string(), 1);

  std::vector<routing::Cell> cells;
  const auto ran = routing::run_matrix(*trace, options, [&](const routing::Cell& cell) { cells.push_back(cell); });
  if (!ran) return complain(ran.error().to_string(), 1);
  const auto before = routing::recorded(*trace);
  Json report = {
      {"mode", "replay"}, {"trace", trace->name}, {"requests", trace->rows.size()}, {"left_out", trace->left_out}};
  if (before) report["recorded"] = recorded_json(*before);
  report["runs"] = Json::array();
  for (const auto& cell : cells) report["runs"].push_back(to_json(cell));
  std::cerr << comparison(cells, before);
  std::cout << report.dump() << '\n';
  return 0;
}

}  // namespace svc::load
