// routing-bench: policies of routing against each other, in virtual time; a line of JSON for each run.
#include <CLI/CLI.hpp>
#include <iostream>
#include <nlohmann/json.hpp>

#include "bench/routing/matrix.hpp"

int main(int argc, char** argv) {
  using namespace svc::routing;
  CLI::App app("Runs a trace of requests against fleets of engines in virtual time, with one policy after the other.",
               "routing-bench");
  Options options;
  app.add_option("trace", options.trace, "A .tr, Mooncake, Azure or access log file, packed by gzip or not")
      ->required();
  app.add_option("--seeds", options.seeds, "Runs of each policy, with other dice for ties")->capture_default_str();
  add_options(app, options);
  app.footer(policy_help());
  CLI11_PARSE(app, argc, argv);
  const auto complain = [](const std::string& text) { std::cerr << "routing-bench: " << text << '\n'; };
  const auto trace = load_trace(options, complain);
  if (!trace) {
    complain(trace.error().to_string());
    return 1;
  }
  const auto done = [](const Cell& cell) { std::cout << to_json(cell).dump() << std::endl; };
  if (const auto ran = run_matrix(*trace, options, done); !ran) {
    complain(ran.error().to_string());
    return 1;
  }
  return 0;
}
