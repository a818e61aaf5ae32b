// infinilm-ctl status: this host's daemons and the whole fleet's services, with a verdict.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>

#include "ctl/access_options.hpp"
#include "ctl/commands.hpp"
#include "ctl/console.hpp"
#include "ctl/core/status_codec.hpp"
#include "ctl/core/status_text.hpp"
#include "ctl/fleet_questions.hpp"
#include "ctl/host_options.hpp"

namespace svc::ctl {
namespace {

struct StatusOptions {
  HostOptions host;
  AccessOptions access;
  bool json = false;
};

ExitCode status(const StatusOptions& options) {
  const auto host = read_host(options.host);
  if (!host) return complain("status", host.error().to_string(), ExitCode::usage);
  const auto answers = ask_fleet(*host, options.access);
  if (!answers) return complain("status", answers.error().to_string(), ExitCode::usage);
  FleetStatus fleet = judge_fleet(*answers);
  fleet.problems.insert(fleet.problems.end(), host->facts.file_problems.begin(), host->facts.file_problems.end());
  const std::string text = options.json ? status_json(fleet, wall_now()) + "\n" : status_text(fleet);
  std::fwrite(text.data(), 1, text.size(), stdout);
  return fleet.ok() ? ExitCode::ok : ExitCode::failed;
}

}  // namespace

Action declare_status(CLI::App& app) {
  const auto options = std::make_shared<StatusOptions>();
  options->host.declare(app);
  options->access.declare(app);
  app.add_flag("--json", options->json, "one JSON object in place of the tables");
  app.footer(
      "Ends with 0 only when all is well: every daemon of this host runs and is healthy, and every service of the\n"
      "fleet takes work.");
  return [options] { return status(*options); };
}

}  // namespace svc::ctl
