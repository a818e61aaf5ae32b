// Reads a configuration folder, and asks the daemons' own binaries what its files lead to: defaults, environment and
// checks are theirs.
#pragma once

#include <string>
#include <vector>

#include "common/core/result.hpp"
#include "ctl/core/host_plan.hpp"

namespace svc::ctl {

/// Which folders, and what was said on the command line. Paths are absolute.
struct FolderOptions {
  std::string config_dir;
  std::string run_dir;  ///< daemons are started in it
  std::string bin_dir;  ///< of the binaries
  HostWishes wishes;
};

/// The files of a folder by what they are; paths.
struct FolderFiles {
  std::string registry;               ///< registry_config.json or .toml; "" = none
  std::string router;                 ///< router_config.json or .toml
  std::string agent;                  ///< agent_config.json or .toml
  std::vector<std::string> services;  ///< *_services.json, by name
  std::vector<std::string> tomls;     ///< the other *.toml
  std::vector<std::string> jsons;     ///< the other *.json
};

/// Error: the folder cannot be read.
[[nodiscard]] Result<FolderFiles> list_folder(const std::string& folder);

/// Runs the binaries: some 10 ms for each file and service.
[[nodiscard]] Result<HostFacts> read_folder(const FolderOptions& options);

/// The names by which the files' hosts are compared.
[[nodiscard]] std::vector<std::string> names_of_this_host(const HostWishes& wishes);

}  // namespace svc::ctl
