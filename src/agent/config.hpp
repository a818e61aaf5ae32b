// Settings of infinilm-agent: one service from flags, environment and a TOML file, or all services of a services file that belong to this host.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "agent/core/service_settings.hpp"
#include "common/core/option_table.hpp"
#include "common/core/services_file.hpp"
#include "common/io/daemon.hpp"
#include "common/io/http_server.hpp"
#include "common/io/log.hpp"
#include "common/io/tls.hpp"

namespace svc::agent {

struct AgentSettings {
  ServiceSettings service;        ///< the one service, or the base for those of the services file
  std::string services;           ///< the services file; "" = one service
  std::vector<std::string> only;  ///< names out of the services file; empty = all of this host's
  std::string this_host;          ///< filled by validate(): what `host` selected, for messages
  std::string bind = "0.0.0.0";   ///< of the pages on port+1
  std::string state_dir = "data/agent";
  std::string on_agent_death = "stop";  ///< or "keep"
  bool exit_on_failed = false;
  bool compat_health = false;
  bool dry_run = false;
  std::string token_file;           ///< of the pages: as in the registry
  std::string registry_token_file;  ///< what is shown to the registry
  std::string port_file;            ///< the pages' port, for scripts
  std::string router_url;           ///< accepted for the earlier agents' sake; not used
  std::uint64_t engine_log_max_bytes = 50'000'000;
  unsigned engine_log_max_files = 5;
  Duration engine_log_max_age{};
  TlsFiles tls;
  HttpLimits http;
  LogSettings log;

  std::vector<ServiceSettings>
      all;  ///< filled by validate(): what this agent runs, in order; names and ports are unique
  /// Stop and drain of the slowest service and the calls to the registry, with some room.
  Duration whole_stop_limit() const;
};

/// Name, section, prefixes and the forms of the file, for the daemon's definition.
CliSpec agent_cli();
/// One option for each setting of a service; `settings` must outlive the table.
void add_service_options(OptionTable& table, ServiceSettings& settings);
/// Those, and one for each setting of the agent.
OptionTable agent_options(AgentSettings& settings);

class AgentConfig : public DaemonConfig {
 public:
  AgentConfig();

  OptionTable& options() override { return options_; }
  const LogSettings& log() const override { return settings_.log; }
  Duration drain_timeout() const override { return settings_.whole_stop_limit(); }
  Result<void> read_extra(const nlohmann::json& file) override;
  Result<void> validate() override;

  const AgentSettings& settings() const { return settings_; }

 private:
  Result<void> check_agent() const;
  Result<void> read_services();
  Result<ServiceSettings> service_of(const ServiceEntry& entry) const;
  Result<void> read_settings_of(const ServiceEntry& entry, OptionTable& table, ServiceSettings& service) const;
  bool overridden(std::string_view key) const;
  void take_host_of_file();

  AgentSettings settings_;
  std::shared_ptr<const nlohmann::json> file_;  ///< of --config, in sections; nullptr = none
  OptionTable options_;
};

/// --dry-run: what would be run and registered, as text; ends with a line end.
std::string dry_run_text(const AgentSettings& settings);
/// A daemon's definition but for make_app: the name, the forms of the file, the configuration, --dry-run.
DaemonDefinition agent_configuration();

}  // namespace svc::agent
