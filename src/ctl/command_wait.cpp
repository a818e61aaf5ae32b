// infinilm-ctl wait: until a daemon is ready, with lines of progress.
#include <CLI/CLI.hpp>
#include <map>
#include <memory>

#include "common/core/deadline.hpp"
#include "common/core/duration_text.hpp"
#include "ctl/access_options.hpp"
#include "ctl/commands.hpp"
#include "ctl/console.hpp"
#include "ctl/core/readiness.hpp"
#include "ctl/io/part_process.hpp"
#include "ctl/io/pause.hpp"
#include "ctl/progress.hpp"

namespace svc::ctl {
namespace {

constexpr Duration kPerWaitCall = std::chrono::seconds(5);

struct WaitOptions {
  AccessOptions access;
  DaemonKind kind = DaemonKind::registry;
  std::string url, label;
  std::string timeout = "60s";
  int pid = 0;
  bool registered = false;
};

Readiness ask(const Pages& pages, const WaitOptions& options) {
  const auto replies = pages.get_all(
      {options.url + std::string(readiness_path(options.kind)), options.url + std::string(detail_path(options.kind))},
      kPerWaitCall);
  if (!replies[0]) return {Readiness::Verdict::not_yet, replies[0].error().to_string()};
  const std::string detail = replies[1] && replies[1]->status != 401 ? replies[1]->body : "";
  return judge_readiness(options.kind, {replies[0]->status, replies[0]->body, detail, options.registered});
}

ExitCode wait(const WaitOptions& options) {
  const auto limit = parse_duration(options.timeout);
  if (!limit) return complain("wait", "--timeout: " + limit.error().to_string(), ExitCode::usage);
  const auto pages = options.access.open();
  if (!pages) return complain("wait", pages.error().to_string(), ExitCode::usage);
  const Deadline deadline = Deadline::after(steady_now(), *limit);
  Progress progress(options.label);
  GrowingPause pauses;
  while (true) {
    // Looked at before the page is: what has ended does not answer, and what answers then is another one.
    const bool gone = options.pid > 0 && !is_running(options.pid);
    const Readiness now = ask(*pages, options);
    const std::string label = options.label.empty() ? "" : options.label + ": ";
    if (gone) return complain("wait", label + "its process has ended");
    if (now.verdict == Readiness::Verdict::ready) {
      progress.tell("ready: " + now.text);
      return ExitCode::ok;
    }
    if (now.verdict == Readiness::Verdict::failed) return complain("wait", label + now.text);
    if (deadline.expired(steady_now())) {
      return complain("wait", label + "not ready within " + options.timeout + ": " + now.text);
    }
    progress.show(now.text);
    pauses.pause(deadline.left(steady_now()));
  }
}

}  // namespace

Action declare_wait(CLI::App& app) {
  const auto options = std::make_shared<WaitOptions>();
  const std::map<std::string, DaemonKind> kinds = {
      {"registry", DaemonKind::registry}, {"router", DaemonKind::router}, {"service", DaemonKind::service}};
  app.add_option("KIND", options->kind, "registry, router or service")
      ->required()
      ->transform(CLI::CheckedTransformer(kinds).description(""));
  app.add_option("URL", options->url, "its address; of a service that of the agent's pages, on the engine's port + 1")
      ->required();
  app.add_option("--timeout", options->timeout, "give up after this: 90s, 10m; default 60s");
  app.add_option("--pid", options->pid, "give up when this process has ended");
  app.add_flag("--registered", options->registered, "a service: until the registry knows it, too");
  app.add_option("--label", options->label, "its name, for the lines");
  options->access.declare(app);
  return [options] { return wait(*options); };
}

}  // namespace svc::ctl
