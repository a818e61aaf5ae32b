// The flags of every command that reads a configuration folder.
#pragma once

#include <string>

#include "common/core/result.hpp"
#include "ctl/core/host_plan.hpp"
#include "ctl/io/config_folder.hpp"

namespace CLI {
class App;
}

namespace svc::ctl {

struct HostOptions {
  std::string config_dir = "deployment_configs";
  std::string run_dir = ".";
  std::string bin_dir;  ///< "" = that of infinilm-ctl itself
  int registry_port = 0;
  int router_port = 0;
  std::string registry_url, router_url, host;

  /// This object must outlive `app`'s parsing.
  void declare(CLI::App& app);
  /// With absolute paths. Error: one sentence.
  [[nodiscard]] Result<FolderOptions> folder() const;
};

struct Host {
  HostFacts facts;
  HostPlan plan;
  FolderOptions folder;
};

/// Reads the folder and plans.
[[nodiscard]] Result<Host> read_host(const HostOptions& options);

}  // namespace svc::ctl
