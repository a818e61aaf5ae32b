// infinilm-ctl wait-routed: until the router uses services, which it hears of a moment after they are ready.
#include <CLI/CLI.hpp>
#include <memory>

#include "common/core/deadline.hpp"
#include "common/core/duration_text.hpp"
#include "ctl/access_options.hpp"
#include "ctl/commands.hpp"
#include "ctl/console.hpp"
#include "ctl/fleet_questions.hpp"
#include "ctl/host_options.hpp"
#include "ctl/io/pause.hpp"
#include "ctl/progress.hpp"

namespace svc::ctl {
namespace {

struct WaitRoutedOptions {
  HostOptions host;
  AccessOptions access;
  std::vector<std::string> services;
  std::string timeout = "60s";
};

std::string joined(const std::vector<std::string>& words) {
  std::string out;
  for (const std::string& word : words) out.append(out.empty() ? "" : ", ").append(word);
  return out;
}

ExitCode wait_routed(const WaitRoutedOptions& options) {
  const auto limit = parse_duration(options.timeout);
  if (!limit) return complain("wait-routed", "--timeout: " + limit.error().to_string(), ExitCode::usage);
  const auto host = read_host(options.host);
  if (!host) return complain("wait-routed", host.error().to_string(), ExitCode::usage);
  const Deadline deadline = Deadline::after(steady_now(), *limit);
  Progress progress("router");
  GrowingPause pauses;
  while (true) {
    const auto answers = ask_fleet(*host, options.access);
    if (!answers) return complain("wait-routed", answers.error().to_string(), ExitCode::usage);
    const auto waiting = not_used_yet(judge_fleet(*answers), options.services);
    if (waiting.empty()) {
      if (progress.has_spoken()) progress.tell("uses " + joined(options.services));
      return ExitCode::ok;
    }
    if (deadline.expired(steady_now())) {
      return complain("wait-routed", "not used by the router within " + options.timeout + ": " + joined(waiting));
    }
    progress.show("does not use yet: " + joined(waiting));
    pauses.pause(deadline.left(steady_now()));
  }
}

}  // namespace

Action declare_wait_routed(CLI::App& app) {
  const auto options = std::make_shared<WaitRoutedOptions>();
  app.add_option("SERVICE", options->services, "names of services")->required();
  options->host.declare(app);
  app.add_option("--timeout", options->timeout, "give up after this: 90s, 10m; default 60s");
  options->access.declare(app);
  app.footer("Nothing is waited for where no router answers, nor for a service that its registry does not have.");
  return [options] { return wait_routed(*options); };
}

}  // namespace svc::ctl
