#include "ctl/app.hpp"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include "common/io/cli.hpp"
#include "common/version.hpp"
#include "ctl/commands.hpp"

namespace svc::ctl {
namespace {

constexpr const char* kName = "infinilm-ctl";

/// "infinilm-ctl status" when a command was named, for messages.
std::string invocation(const CLI::App& app) {
  const auto chosen = app.get_subcommands();
  return chosen.empty() ? kName : std::string(kName) + " " + chosen.front()->get_name();
}

int code(ExitCode exit) { return static_cast<int>(exit); }

int usage_error(const CLI::App& app, const CLI::ParseError& error) {
  const std::string name = invocation(app);
  std::fprintf(stderr, "%s: %s; '%s --help' says what it takes\n", name.c_str(), error.what(), name.c_str());
  return code(ExitCode::usage);
}

}  // namespace

int run(int argc, const char* const* argv) {
  CLI::App app{"Looks after InfiniLM daemons and services: asks them how they are, waits for them, checks their files.",
               kName};
  app.set_version_flag("--version",
                       std::string(kName) + " " + std::string(kVersion) + " (" + std::string(kGitCommit) + ")");
  app.footer(
      "Exit codes: 0 all is well, 1 something is not, 2 wrong usage.\n'infinilm-ctl COMMAND --help' explains a "
      "command.");
  std::vector<std::pair<CLI::App*, Action>> actions;
  for (const Command& command : commands()) {
    CLI::App* const sub = app.add_subcommand(command.name, command.summary);
    actions.emplace_back(sub, command.declare(*sub));
  }
  app.require_subcommand(1);
  if (argc < 2) {
    std::fputs(app.help().c_str(), stderr);
    return code(ExitCode::usage);
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& text) {  // --help, --version
    return app.exit(text);
  } catch (const CLI::ParseError& error) {
    return usage_error(app, error);
  }
  for (const auto& [sub, action] : actions) {
    if (sub->parsed()) return code(action());
  }
  return code(ExitCode::usage);
}

}  // namespace svc::ctl
