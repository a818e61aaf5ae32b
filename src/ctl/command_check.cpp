// infinilm-ctl check: everything that can be known before a start.
#include <CLI/CLI.hpp>
#include <memory>

#include "ctl/checks.hpp"
#include "ctl/commands.hpp"
#include "ctl/console.hpp"

namespace svc::ctl {
namespace {

struct CheckOptions {
  HostOptions host;
  AccessOptions access;
};

ExitCode check(const CheckOptions& options) {
  const auto host = read_host(options.host);
  if (!host) return complain("check", host.error().to_string(), ExitCode::usage);
  const auto files = list_folder(host->folder.config_dir);
  if (!files) return complain("check", files.error().to_string(), ExitCode::usage);
  std::vector<CheckLine> lines;
  const TellCheck tell = [&lines](CheckLine line) {
    say(check_text(line));
    lines.push_back(std::move(line));
  };
  check_binaries(*host, tell);
  check_files(*host, *files, tell);
  check_ports(*host, tell);
  check_reach(*host, *files, options.access, tell);
  check_disk(*host, tell);
  say(check_summary(lines));
  return all_good(lines) ? ExitCode::ok : ExitCode::failed;
}

}  // namespace

Action declare_check(CLI::App& app) {
  const auto options = std::make_shared<CheckOptions>();
  options->host.declare(app);
  options->access.declare(app);
  app.footer(
      "A line for each check: ✓ good, ! worth knowing, ✗ to be mended. Changes nothing, also while all runs.\n"
      "Ends with 0 when nothing is to be mended.");
  return [options] { return check(*options); };
}

}  // namespace svc::ctl
