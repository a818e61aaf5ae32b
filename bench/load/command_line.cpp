#include "bench/load/command_line.hpp"

#include <CLI/CLI.hpp>
#include <cmath>
#include <functional>
#include <iostream>

#include "common/core/ip_address.hpp"

namespace svc::load {
namespace {

constexpr const char* kAfter = R"(The flags of all modes: infinilm-bench --help.
Recorded requests in real time: infinilm-bench trace --help.
The same against other policies, in virtual time: infinilm-bench replay --help.
Output: one line of JSON on stdout, a summary on stderr.
Exit code: 0; 1 when a request failed or a chunk was lost, repeated or out of order; 2 for wrong flags.)";

// A flag in seconds.
void add_seconds(CLI::App& app, const char* flag, Duration& target, double initial, const char* help) {
  const auto store = [&target](double value) {
    target = Duration(static_cast<Duration::rep>(std::llround(value * 1e9)));
  };
  store(initial);
  app.add_option_function<double>(flag, store, help)
      ->check(CLI::Range(0.0, 86400.0))
      ->type_name("SECONDS")
      ->default_str(CLI::detail::to_string(initial))
      ->run_callback_for_default(false);
}

CLI::Option* add_count(CLI::App& app, const char* flag, std::size_t& target, const char* help) {
  return app.add_option(flag, target, help)
      ->check(CLI::Range(std::size_t{1}, std::size_t{1'000'000'000}))
      ->type_name("N")
      ->capture_default_str();
}

void add_common(CLI::App& app, Options& options) {
  app.add_option("--host", options.host, "Address of the proxy; loopback only")->capture_default_str();
  app.add_option("--port", options.ports, "Its port; several: the clients are dealt out to them")
      ->required()
      ->check(CLI::Range(1, 65535))
      ->delimiter(',');
  app.add_option("--sim-port", options.sim_ports, "Simulators behind it: counts chunks generated for nobody")
      ->check(CLI::Range(1, 65535))
      ->delimiter(',');
  app.add_option("--pid", options.pid, "The proxy's process, to measure its CPU time and memory with its children");
  app.add_option("--path", options.path, "Path of the request")->capture_default_str();
  app.add_option("--model", options.model, "Model that is asked for")->capture_default_str();
  add_count(app, "--body-bytes", options.body_bytes, "Size of each request's body");
  app.add_flag("--distinct", options.distinct, "No two requests begin with the same text: nothing is in any cache");
  app.add_option("--rate", options.rate, "Open loop: requests or streams per second; 0 = closed loop")
      ->check(CLI::Range(0.0, 1e6))
      ->capture_default_str();
  app.add_flag("--even", options.even, "Open loop: evenly spaced arrivals, not Poisson");
  add_seconds(app, "--ramp", options.ramp, 0, "Closed loop: the clients begin spread over this time");
  add_seconds(app, "--warmup", options.warmup, 1, "Not measured; at least --ramp");
  add_seconds(app, "--duration", options.duration, 5, "Measured");
  app.add_option("--requests", options.requests, "Measure this many requests or streams instead of a duration");
  add_seconds(app, "--timeout", options.timeout, 30, "Silence after which a request has failed");
}

}  // namespace

std::optional<int> read_command_line(int argc, char** argv, Options& options) {
  CLI::App app("Puts one kind of load on an OpenAI-style proxy or engine on this machine.", "infinilm-bench");
  app.require_subcommand(1);
  app.fallthrough();
  app.footer(kAfter);
  add_common(app, options);
  const auto mode = [&](Mode value, const char* help) {
    auto* sub = app.add_subcommand(std::string(to_string(value)), help);
    sub->callback([&options, value] { options.mode = value; });
    return sub;
  };
  auto* unary = mode(Mode::unary, "Requests with one answer each");
  add_count(*unary, "--connections", options.clients, "Connections, and requests at a time at most");
  add_count(*unary, "--tokens", options.tokens, "Tokens asked for");

  const auto streams = [&](Mode value, const char* help) {
    auto* sub = mode(value, help);
    add_count(*sub, "--streams", options.clients, "Streams at a time; with --rate at most");
    add_count(*sub, "--tokens", options.tokens, "Tokens of each");
    return sub;
  };
  streams(Mode::sse, "Streams that are read to their end; one after the other, or at --rate");
  auto* cancel = streams(Mode::cancel, "Streams that the client leaves early");
  add_count(*cancel, "--after", options.cancel_after, "Chunks after which it leaves");
  streams(Mode::hold, "Streams that stay open for the whole run");

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  const auto address = IpAddress::parse(options.host);
  if (!address || !options.host.starts_with("127.")) {
    std::cerr << "infinilm-bench: --host must be an IPv4 loopback address, got \"" << options.host << "\"\n";
    return 2;
  }
  return std::nullopt;
}

}  // namespace svc::load
