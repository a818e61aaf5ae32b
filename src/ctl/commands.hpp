// The commands of infinilm-ctl, one file each (command_NAME.cpp): a name, a sentence for --help, and a function that
// declares the flags.
#pragma once

#include <functional>
#include <span>

#include "common/io/cli.hpp"

namespace CLI {  // NOLINT(readability-identifier-naming): the library's own
class App;
}

namespace svc::ctl {

/// What a command does once its flags are read.
using Action = std::function<ExitCode()>;

struct Command {
  const char* name;
  const char* summary;               ///< one sentence without a full stop
  Action (*declare)(CLI::App& app);  ///< `app` outlives the action, which owns the values that the flags are read into
};

Action declare_check(CLI::App& app);
Action declare_generate_config(CLI::App& app);
Action declare_launch(CLI::App& app);
Action declare_pid(CLI::App& app);
Action declare_plan(CLI::App& app);
Action declare_status(CLI::App& app);
Action declare_stop(CLI::App& app);
Action declare_wait(CLI::App& app);
Action declare_wait_routed(CLI::App& app);

/// In the order of --help.
std::span<const Command> commands();

}  // namespace svc::ctl
