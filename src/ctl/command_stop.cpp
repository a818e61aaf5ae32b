// infinilm-ctl stop: SIGTERM, then a look now and then at how far the drain is, and harder means at the limit.
#include <CLI/CLI.hpp>
#include <csignal>
#include <filesystem>
#include <memory>

#include "common/core/deadline.hpp"
#include "common/core/duration_text.hpp"
#include "ctl/access_options.hpp"
#include "ctl/commands.hpp"
#include "ctl/console.hpp"
#include "ctl/core/daemon_pages.hpp"
#include "ctl/io/part_process.hpp"
#include "ctl/progress.hpp"

namespace svc::ctl {
namespace {

constexpr Duration kBetween = std::chrono::milliseconds(500);
constexpr Duration kPerStatusCall = std::chrono::seconds(1);
constexpr Duration kAfterSecondSignal = std::chrono::seconds(10);

struct StopOptions {
  AccessOptions access;
  std::string pid_file, program, url, label;
  std::string timeout = "5m";
};

/// What an agent says of its drain. Registry and router close their ports at once: nothing can be asked of them.
std::string how_far(const Pages& pages, const std::string& url) {
  if (url.empty()) return "stopping";
  const auto reply = pages.get(url + "/status", kPerStatusCall);
  const auto status = reply ? parse_agent_status(reply->body) : std::nullopt;
  if (!status || status->state.empty()) return "stopping";
  if (status->state != "draining" || !status->open_connections) return status->state;
  return "draining, " + std::to_string(*status->open_connections) + " connections open";
}

ExitCode end_by_force(const EndingPart& part, Progress& progress) {
  progress.tell("not gone in time: told to stop at once");
  part.signal(SIGTERM);
  if (part.wait(kAfterSecondSignal)) return ExitCode::failed;
  progress.tell("killed");
  part.signal(SIGKILL);
  (void)part.wait(kAfterSecondSignal);
  return ExitCode::failed;
}

ExitCode stop(const StopOptions& options) {
  const auto limit = parse_duration(options.timeout);
  if (!limit) return complain("stop", "--timeout: " + limit.error().to_string(), ExitCode::usage);
  const auto pages = options.access.open();
  if (!pages) return complain("stop", pages.error().to_string(), ExitCode::usage);
  const auto found = find_part(options.pid_file, options.program);
  const auto part = found ? EndingPart::of(found->pid, options.pid_file, options.program) : std::nullopt;
  Progress progress(options.label);
  ExitCode code = ExitCode::ok;
  if (part) {
    part->signal(SIGTERM);
    const Deadline deadline = Deadline::after(steady_now(), *limit);
    while (!part->wait(kBetween)) {
      if (deadline.expired(steady_now())) {
        code = end_by_force(*part, progress);
        break;
      }
      progress.show(how_far(*pages, options.url));
    }
    progress.tell(code == ExitCode::ok ? "stopped" : "stopped by force");
  } else {
    progress.tell("was not running");
  }
  std::error_code error;
  std::filesystem::remove(options.pid_file, error);
  return code;
}

}  // namespace

Action declare_stop(CLI::App& app) {
  const auto options = std::make_shared<StopOptions>();
  app.add_option("--pid-file", options->pid_file, "as it was given to launch; removed at the end")->required();
  app.add_option("--program", options->program, "base name of its binary: infinilm-agent")->required();
  app.add_option("--label", options->label, "its name, for the lines");
  app.add_option("--url", options->url, "of an agent's pages: shows how far its drain is");
  app.add_option("--timeout", options->timeout, "then a second SIGTERM, and after 10s SIGKILL; default 5m");
  options->access.declare(app);
  app.footer("Ends with 0 when it is gone (or was not running), with 1 when it had to be ended by force.");
  return [options] { return stop(*options); };
}

}  // namespace svc::ctl
