#include "ctl/app.hpp"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/core/nearest_name.hpp"
#include "common/io/cli.hpp"
#include "common/io/standard_fds.hpp"
#include "common/version.hpp"
#include "ctl/commands.hpp"

namespace svc::ctl {
namespace {

constexpr const char* kName = "infinilm-ctl";

int code(ExitCode exit) { return static_cast<int>(exit); }

int usage_error(const std::string& name, const std::string& sentence) {
  std::fprintf(stderr, "%s: %s; '%s --help' says what it takes\n", name.c_str(), sentence.c_str(), name.c_str());
  return code(ExitCode::usage);
}

std::string unknown(const char* what, const std::string& wanted, const std::vector<std::string>& known) {
  const std::vector<std::string_view> names(known.begin(), known.end());
  const auto near = nearest_name(wanted, names);
  return std::string("unknown ") + what + " '" + wanted + "'" + (near ? ", did you mean '" + *near + "'?" : "");
}

/// CLI11 would first say what is missing, which is often the very flag that was mistyped.
std::optional<std::string> unknown_flag(const CLI::App& command, const std::vector<std::string>& args) {
  std::vector<std::string> known;
  for (const CLI::Option* option : command.get_options()) {
    for (const std::string& name : option->get_lnames()) known.push_back("--" + name);
    for (const std::string& name : option->get_snames()) known.push_back("-" + name);
  }
  for (std::size_t i = 1; i < args.size() && args[i] != "--"; ++i) {
    const std::string flag = args[i].substr(0, args[i].find('='));
    if (!flag.starts_with("--") || std::find(known.begin(), known.end(), flag) != known.end()) continue;
    return unknown("flag", flag, known);
  }
  return std::nullopt;
}

/// The commands as CLI11 knows them, each with what it does.
using Declared = std::vector<std::pair<CLI::App*, Action>>;

std::optional<std::string> unknown_command(const Declared& declared, const std::string& word) {
  std::vector<std::string> names;
  for (const auto& [command, action] : declared) names.push_back(command->get_name());
  if (word.starts_with('-') || std::find(names.begin(), names.end(), word) != names.end()) return std::nullopt;
  return unknown("command", word, names);
}

}  // namespace

int run(int argc, const char* const* argv) {
  occupy_standard_fds();
  CLI::App app{"Looks after InfiniLM daemons and services: asks them how they are, waits for them, checks their files.",
               kName};
  app.set_version_flag("--version",
                       std::string(kName) + " " + std::string(kVersion) + " (" + std::string(kGitCommit) + ")");
  app.footer(
      "Exit codes: 0 all is well, 1 something is not, 2 wrong usage or configuration.\n"
      "'infinilm-ctl COMMAND --help' explains a command.");
  app.require_subcommand(1);
  Declared declared;
  for (const Command& command : commands()) {
    CLI::App* const sub = app.add_subcommand(command.name, command.summary);
    sub->footer("");  // the general one says nothing about it
    declared.emplace_back(sub, command.declare(*sub));
  }
  const std::vector<std::string> args(argv + std::min(argc, 1), argv + argc);
  if (args.empty()) {
    std::fputs(app.help().c_str(), stderr);
    return code(ExitCode::usage);
  }
  if (const auto wrong = unknown_command(declared, args.front())) return usage_error(kName, *wrong);
  std::string name = kName;
  for (const auto& [command, action] : declared) {
    if (command->get_name() != args.front()) continue;
    name += " " + args.front();
    if (const auto wrong = unknown_flag(*command, args)) return usage_error(name, *wrong);
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& text) {  // --help, --version
    return app.exit(text);
  } catch (const CLI::ParseError& error) {
    return usage_error(name, error.what());
  }
  for (const auto& [command, action] : declared) {
    if (command->parsed()) return code(action());
  }
  return code(ExitCode::usage);
}

}  // namespace svc::ctl
