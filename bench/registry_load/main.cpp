// registry-load: puts one kind of load on a registry on this machine and prints what came of it as one line of JSON.
#include <CLI/CLI.hpp>
#include <boost/asio/ip/address.hpp>
#include <iostream>

#include "bench/registry_load/load.hpp"
#include "common/io/rlimit.hpp"

namespace svc::bench {
namespace {

using Command = Report (*)(const Options&);

CLI::App* add(CLI::App& app, Command& chosen, const char* name, const char* help, Command command) {
  auto* sub = app.add_subcommand(name, help);
  sub->callback([&chosen, command] { chosen = command; });
  return sub;
}

void add_connection_options(CLI::App& app, Options& options) {
  app.add_option("--host", options.host, "Address of the registry; loopback only")->capture_default_str();
  app.add_option("--port", options.port, "Port of the registry")->required();
  app.add_option("--pid", options.pid, "Process of the registry, to measure its CPU and memory");
  app.add_option("--limit", options.limit_seconds, "Seconds after which a run has failed")
      ->check(CLI::Range(1, 3600))
      ->capture_default_str();
}

int run(int argc, char** argv) {
  Options options;
  Command command = nullptr;
  CLI::App app("Puts one kind of load on a registry on this machine; prints one line of JSON.", "registry-load");
  app.require_subcommand(1);
  app.fallthrough();
  add_connection_options(app, options);
  const auto size = [](CLI::App* sub, const char* flag, std::size_t& target, const char* help) {
    sub->add_option(flag, target, help)
        ->check(CLI::Range(std::size_t{1}, std::size_t{1'000'000}))
        ->capture_default_str();
  };

  auto* enroll = add(app, command, "register", "Register services bench-00000, bench-00001, ...", run_register);
  size(enroll, "--count", options.count, "Services");
  size(enroll, "--connections", options.connections, "Connections");

  auto* beat = add(app, command, "heartbeat", "Send heartbeats for them, in turn", run_heartbeat);
  beat->add_option("--seconds", options.seconds, "Length")->check(CLI::Range(0.1, 3600.0))->capture_default_str();
  size(beat, "--connections", options.connections, "Connections");
  size(beat, "--names", options.names, "Services");

  auto* list = add(app, command, "list", "Read GET /services, one call after the other", run_list);
  size(list, "--requests", options.requests, "Calls");
  list->add_option("--query", options.query, "Query text, as healthy=true");

  auto* watch = add(app, command, "watch", "Long polls, and updates that wake them up", run_watch);
  size(watch, "--watchers", options.watchers, "Connections that wait");
  size(watch, "--updates", options.updates, "Updates, one after the other");
  watch->add_flag("--changes", options.changes, "Ask for changes instead of the list");

  auto* burst = add(app, command, "reconnect", "All agents at once: connect, one heartbeat each", run_reconnect);
  size(burst, "--agents", options.agents, "Agents");
  burst->add_option("--spread", options.spread, "Agents start at random within this; 0: all at once")
      ->check(CLI::Range(0.0, 600.0))
      ->capture_default_str();
  burst->add_option("--seconds", options.seconds, "Later answers count as late")
      ->check(CLI::Range(0.1, 3600.0))
      ->capture_default_str();

  auto* ready = add(app, command, "ready", "Wait for a registry that is starting, then read its first list", run_ready);
  ready->add_option("--started-at", options.started_at, "When it was started, in seconds since 1970")->required();
  size(ready, "--expected", options.expected, "Services that must be in the list");

  CLI11_PARSE(app, argc, argv);

  error_code ec;
  const auto address = asio::ip::make_address(options.host, ec);
  if (ec || !address.is_loopback()) {
    std::cerr << "registry-load: --host must be a loopback address, got \"" << options.host << "\"\n";
    return 2;
  }
  static_cast<void>(raise_open_file_limit());
  const auto report = command(options);
  if (!report) {
    std::cerr << "registry-load: " << report.error().to_string() << '\n';
    return 1;
  }
  std::cout << *report << '\n';
  return 0;
}

}  // namespace
}  // namespace svc::bench

int main(int argc, char** argv) { return svc::bench::run(argc, argv); }
