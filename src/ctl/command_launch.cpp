// infinilm-ctl launch and pid: what a script needs to start a daemon and to find it again.
#include <CLI/CLI.hpp>
#include <memory>

#include "common/core/endpoint.hpp"
#include "common/io/port_check.hpp"
#include "ctl/commands.hpp"
#include "ctl/console.hpp"
#include "ctl/io/part_process.hpp"

namespace svc::ctl {
namespace {

struct PidOptions {
  std::string pid_file, program;
};

struct LaunchOptions {
  LaunchOrder order;
  std::string listens;
};

ExitCode launch(const LaunchOptions& options) {
  LaunchOrder order = options.order;
  if (!options.listens.empty()) {
    const auto endpoint = parse_endpoint(options.listens);
    if (!endpoint) return complain("launch", "--listens: " + endpoint.error().to_string(), ExitCode::usage);
    order.is_free = [endpoint = *endpoint] { return why_port_is_taken(endpoint.port, endpoint.host); };
  }
  const auto launched = launch_part(order);
  if (!launched) return complain("launch", launched.error().to_string());
  say(std::to_string(launched->pid) + (launched->was_running ? " running" : " started"));
  return ExitCode::ok;
}

ExitCode pid(const PidOptions& options) {
  const auto found = find_part(options.pid_file, options.program);
  if (!found) return ExitCode::failed;
  say(std::to_string(found->pid));
  return ExitCode::ok;
}

}  // namespace

Action declare_launch(CLI::App& app) {
  const auto options = std::make_shared<LaunchOptions>();
  LaunchOrder* const order = &options->order;
  order->folder = ".";
  app.add_option("--pid-file", order->pid_file, "written once it runs")->required();
  app.add_option("--output", order->output, "file for its stdout and stderr, begun anew")->required();
  app.add_option("--folder", order->folder, "folder that it is started in; default .");
  app.add_option("--listens", options->listens, "ADDRESS:PORT that must be free, or it is not started");
  app.add_option("COMMAND", order->command, "after --: the program's path and its arguments")->required();
  app.footer(
      "Prints 'PID started', or 'PID running' when it ran already.\n"
      "The program gets a session of its own and no open files, so that it outlives the terminal.");
  return [options] { return launch(*options); };
}

Action declare_pid(CLI::App& app) {
  const auto options = std::make_shared<PidOptions>();
  app.add_option("--pid-file", options->pid_file, "as it was given to launch")->required();
  app.add_option("--program", options->program, "base name of its binary: infinilm-agent")->required();
  app.footer(
      "Prints the PID and ends with 0 when it runs, else with 1. A PID that belongs to another process by now does\n"
      "not count, and a daemon that was launched with this PID file is found without the file too.");
  return [options] { return pid(*options); };
}

}  // namespace svc::ctl
