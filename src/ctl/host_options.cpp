#include "ctl/host_options.hpp"

#include <CLI/CLI.hpp>
#include <filesystem>
#include <system_error>

#include "common/core/http_url.hpp"
#include "common/core/registry_url.hpp"

namespace svc::ctl {
namespace {

std::string absolute(const std::string& path) {
  std::error_code error;
  const auto whole = std::filesystem::weakly_canonical(path, error);
  return error ? path : whole.string();
}

std::string own_folder() {
  std::error_code error;
  return std::filesystem::read_symlink("/proc/self/exe", error).parent_path().string();
}

std::optional<std::uint16_t> port(int given) {
  return given > 0 ? std::make_optional(static_cast<std::uint16_t>(given)) : std::nullopt;
}

}  // namespace

void HostOptions::declare(CLI::App& app) {
  app.add_option("-c,--config-dir", config_dir, "folder with the configuration; default deployment_configs");
  app.add_option("--run-dir", run_dir, "folder that the daemons are started in, with logs/ and data/; default .");
  app.add_option("--bin-dir", bin_dir, "folder of the daemons' binaries; default that of infinilm-ctl");
  app.add_option("-r,--registry-port", registry_port, "port of the registry when no file says it; default 8081")
      ->check(CLI::Range(1, 65535));
  app.add_option("-p,--router-port", router_port, "port of the router when no file says it; default 8080")
      ->check(CLI::Range(1, 65535));
  app.add_option("--registry-url", registry_url, "the registry; default: what router_config.json says")
      ->envname("INFINILM_CTL_REGISTRY_URL");
  app.add_option("--router-url", router_url, "the router; default: the one of this host")
      ->envname("INFINILM_CTL_ROUTER_URL");
  app.add_option("--host", host, "which of the hosts in the files this is; default: by its names and addresses");
}

Result<FolderOptions> HostOptions::folder() const {
  FolderOptions folder;
  folder.config_dir = absolute(config_dir);
  folder.run_dir = absolute(run_dir);
  folder.bin_dir = bin_dir.empty() ? own_folder() : absolute(bin_dir);
  folder.wishes.registry_port = port(registry_port);
  folder.wishes.router_port = port(router_port);
  folder.wishes.host = host;
  if (!registry_url.empty()) {
    const auto base = registry_base(registry_url);
    if (!base) return wrap("--registry-url", base.error());
    folder.wishes.registry_url = *base;
  }
  if (!router_url.empty()) {
    const auto url = parse_http_url(router_url);
    if (!url) return wrap("--router-url", url.error());
    folder.wishes.router_url = url->to_string();
    while (folder.wishes.router_url.ends_with('/')) folder.wishes.router_url.pop_back();
  }
  return folder;
}

Result<Host> read_host(const HostOptions& options) {
  auto folder = options.folder();
  if (!folder) return folder.error();
  auto facts = read_folder(*folder);
  if (!facts) return facts.error();
  HostPlan plan = plan_host(*facts, folder->wishes);
  return Host{*std::move(facts), std::move(plan), *std::move(folder)};
}

}  // namespace svc::ctl
