#include "bench/routing/options.hpp"

#include <CLI/CLI.hpp>
#include <iomanip>
#include <sstream>

#include "common/core/nearest_name.hpp"

namespace svc::routing {
namespace {

constexpr std::size_t kMostEngines = 1024;
constexpr double kLeast = 1e-6, kMost = 1e6;

void add_model(CLI::App& app, RunSettings& settings) {
  auto& model = settings.model;
  constexpr const char* kGroup = "The engines";
  app.add_option("--kv-tokens", model.kv_tokens, "Tokens that an engine's cache holds")
      ->check(CLI::Range(std::uint64_t{1024}, std::uint64_t{1} << 40U))
      ->capture_default_str()
      ->group(kGroup);
  app.add_option("--stated-kv-tokens", settings.stated_kv_tokens, "What the router is told of that; 0: the truth")
      ->check(CLI::Range(std::uint64_t{0}, std::uint64_t{1} << 40U))
      ->capture_default_str()
      ->group(kGroup);
  app.add_flag("--kv-unstated", settings.kv_unstated, "The router is told nothing of it, and learns")->group(kGroup);
  const auto store = [&model](double rate) { model.prefill_token = 1 / rate; };
  app.add_option_function<double>("--prefill-rate", store, "Prefill tokens a second of a short prompt")
      ->check(CLI::Range(1.0, 1e9))
      ->type_name("FLOAT")
      ->default_str(std::to_string(static_cast<int>(1 / model.prefill_token)))
      ->run_callback_for_default(false)
      ->group(kGroup);
  app.add_option("--chunk", model.chunk, "Prefill tokens of a step at most")
      ->check(CLI::Range(1U, 1U << 20U))
      ->capture_default_str()
      ->group(kGroup);
  app.add_option("--max-batch", model.max_batch, "Requests that run at once at most")
      ->check(CLI::Range(1U, 1U << 20U))
      ->capture_default_str()
      ->group(kGroup);
  app.add_option("--speeds", settings.speeds, "Relative speeds, dealt out in turn: 1,1,0.5")
      ->delimiter(',')
      ->check(CLI::Range(0.001, 1000.0))
      ->group(kGroup);
}

}  // namespace

void add_options(CLI::App& app, Options& options) {
  app.add_option("--requests", options.requests, "Only the first ones of the trace; 0: all")->capture_default_str();
  app.add_option("--engines", options.engines, "Sizes of the fleet")
      ->delimiter(',')
      ->check(CLI::Range(std::size_t{1}, kMostEngines));
  auto* loads = app.add_option("--loads,--load", options.loads,
                               "Loads, relative to the rate at which round robin saturates that fleet (found by "
                               "bisection: mean time to first token of 10 s)")
                    ->delimiter(',')
                    ->check(CLI::Range(kLeast, kMost));
  app.add_option("--rates,--rate", options.rates, "Rates, relative to the recorded one")
      ->delimiter(',')
      ->check(CLI::Range(kLeast, kMost))
      ->excludes(loads);
  app.add_option("--policies,--policy", options.policies, "Which policies; see below")->delimiter(',');
  app.add_option("--hold-seconds", options.settings.prefix.hold_prefill_seconds, "hold_prefill_seconds of the router")
      ->check(CLI::Range(0.0, 3600.0))
      ->capture_default_str();
  app.add_option("--aging", options.settings.prefix.aging, "aging of the router")
      ->check(CLI::Range(0.0, 1000.0))
      ->capture_default_str();
  add_model(app, options.settings);
}

Result<std::vector<const PolicyKind*>> chosen_policies(const Options& options) {
  std::vector<const PolicyKind*> chosen;
  for (const auto& name : options.policies) {
    chosen.push_back(find_policy(name));
    if (chosen.back() != nullptr) continue;
    std::vector<std::string_view> names;
    for (const auto& kind : policy_kinds()) names.push_back(kind.name);
    const auto nearest = nearest_name(name, names);
    return invalid("there is no policy \"" + name + "\"" +
                   (nearest ? "; did you mean \"" + *nearest + "\"?" : "; see --help"));
  }
  if (chosen.empty()) {
    for (const auto& kind : policy_kinds()) chosen.push_back(&kind);
  }
  return chosen;
}

std::string policy_help() {
  std::ostringstream text;
  text << "Policies:\n";
  for (const auto& kind : policy_kinds()) {
    text << "  " << std::left << std::setw(20) << kind.name << kind.explain << '\n';
  }
  return text.str();
}

}  // namespace svc::routing
