// infinilm-ctl wait: until a daemon is ready, with a line of progress whenever something changes.
#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <map>
#include <memory>
#include <optional>

#include "common/core/deadline.hpp"
#include "common/core/duration_text.hpp"
#include "ctl/access_options.hpp"
#include "ctl/commands.hpp"
#include "ctl/core/readiness.hpp"
#include "ctl/io/pause.hpp"

namespace svc::ctl {
namespace {

constexpr Duration kBetween = std::chrono::milliseconds(100);
constexpr Duration kPerCall = std::chrono::seconds(5);

struct WaitOptions {
  AccessOptions access;
  DaemonKind kind = DaemonKind::registry;
  std::string url;
  std::string timeout = "60s";
  int pid = 0;
};

Readiness ask(const Pages& pages, const WaitOptions& options) {
  const auto replies = pages.get_all(
      {options.url + std::string(readiness_path(options.kind)), options.url + std::string(detail_path(options.kind))},
      kPerCall);
  if (!replies[0]) return {Readiness::Verdict::not_yet, replies[0].error().to_string()};
  return judge_readiness(options.kind, replies[0]->status, replies[0]->body, replies[1] ? replies[1]->body : "");
}

bool is_gone(int pid) { return pid > 0 && ::kill(pid, 0) != 0 && errno == ESRCH; }

ExitCode wait(const WaitOptions& options) {
  const auto limit = parse_duration(options.timeout);
  if (!limit) {
    std::fprintf(stderr, "infinilm-ctl wait: --timeout: %s\n", limit.error().to_string().c_str());
    return ExitCode::usage;
  }
  const auto pages = options.access.open();
  if (!pages) {
    std::fprintf(stderr, "infinilm-ctl wait: %s\n", pages.error().to_string().c_str());
    return ExitCode::usage;
  }
  const Deadline deadline = Deadline::after(steady_now(), *limit);
  std::string shown;
  while (true) {
    const Readiness now = ask(*pages, options);
    if (now.verdict == Readiness::Verdict::ready) {
      std::printf("ready: %s\n", now.text.c_str());
      return ExitCode::ok;
    }
    const bool gone = is_gone(options.pid);
    if (now.verdict == Readiness::Verdict::failed || gone || deadline.expired(steady_now())) {
      const std::string why = gone ? "the process has ended" : now.text;
      std::fprintf(stderr, "not ready%s: %s\n", deadline.expired(steady_now()) && !gone ? " in time" : "", why.c_str());
      return ExitCode::failed;
    }
    if (now.text != shown) {
      std::printf("%s\n", now.text.c_str());
      std::fflush(stdout);
      shown = now.text;
    }
    pause_for(kBetween);
  }
}

}  // namespace

Action declare_wait(CLI::App& app) {
  const auto options = std::make_shared<WaitOptions>();
  const std::map<std::string, DaemonKind> kinds = {
      {"registry", DaemonKind::registry}, {"router", DaemonKind::router}, {"service", DaemonKind::service}};
  app.add_option("KIND", options->kind, "registry, router or service")
      ->required()
      ->transform(CLI::CheckedTransformer(kinds));
  app.add_option("URL", options->url, "its address; of a service that of the agent's pages, on the engine's port + 1")
      ->required();
  app.add_option("--timeout", options->timeout, "give up after this: 90s, 10m; default 60s");
  app.add_option("--pid", options->pid, "give up when this process is gone");
  options->access.declare(app);
  return [options] { return wait(*options); };
}

}  // namespace svc::ctl
