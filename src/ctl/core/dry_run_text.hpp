// What `infinilm-agent --dry-run` says about one service: the settings of its own files, as what they lead to.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace svc::ctl {

struct DryRun {
  std::vector<std::string> commands;  ///< of the engine, one for each rank, as a shell reads them
  std::string work_dir;               ///< of the engine; "" = the agent's
  std::string log_file;               ///< of the engine
  std::string registry_url;           ///< where its own settings register it; "" = nowhere
};

/// Lines that are not known are passed over.
[[nodiscard]] DryRun parse_dry_run(std::string_view text);

/// The program of a command: its first word; "" when there is none.
[[nodiscard]] std::string program_of(std::string_view command);

}  // namespace svc::ctl
