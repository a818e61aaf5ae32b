// Asks everything that `status` wants to know.
#pragma once

#include "common/core/result.hpp"
#include "ctl/access_options.hpp"
#include "ctl/core/fleet_status.hpp"
#include "ctl/host_options.hpp"

namespace svc::ctl {

/// Tokens and certificates: those of `access`; else those that the files of this host's daemons name, where they may be read.
/// Blocks for some seconds at most. Error: a file of `access` cannot be used.
[[nodiscard]] Result<FleetAnswers> ask_fleet(const Host& host, const AccessOptions& access);

/// The PID file of a part: RUN_DIR/logs/ID.pid.
[[nodiscard]] std::string pid_file_of(const std::string& run_dir, const std::string& id);
/// The binary that a part runs: "infinilm-registry".
[[nodiscard]] std::string program_of(const Part& part);

}  // namespace svc::ctl
