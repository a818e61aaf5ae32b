// Settings of infinilm-registry: the struct, its option table, and the `servers` section of the configuration file.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/core/address_policy.hpp"
#include "common/core/option_table.hpp"
#include "common/io/daemon.hpp"
#include "common/io/http_server.hpp"
#include "common/io/log.hpp"
#include "common/io/tls.hpp"
#include "registry/core/registry_state.hpp"
#include "registry/core/server_roster.hpp"

namespace svc::registry {

/// The values. Plain and copyable.
struct RegistrySettings {
  std::string host = "0.0.0.0";
  std::uint16_t port = 8081;
  std::string port_file;                               ///< "" = none
  Duration health_interval{std::chrono::seconds(30)};  ///< 0 = no periodic probes
  Duration health_timeout{std::chrono::seconds(5)};
  Duration cleanup_interval{std::chrono::seconds(60)};
  Duration heartbeat_timeout{std::chrono::seconds(120)};
  Duration remove_after{std::chrono::seconds(300)};
  std::int64_t unhealthy_after = 3;
  std::int64_t healthy_after = 1;
  std::size_t probe_concurrency = 64;
  double max_removal_share = 0.15;
  Duration removal_hold_limit{std::chrono::hours(1)};
  std::size_t max_services = 100'000;
  std::size_t max_metadata_total_bytes = 256UL * 1024 * 1024;
  std::size_t max_body_bytes = 128 * 1024;
  std::string on_name_conflict = "accept";
  bool strict_servers = false;
  std::string token_file;
  std::vector<std::string> allow_networks;
  bool allow_link_local = false;
  std::string state_db = "data/registry.db";
  Duration warming_time{std::chrono::seconds(60)};
  TlsFiles tls;
  HttpLimits http;
  LogSettings log;

  AddressPolicy address_policy;  ///< from allow_networks and allow_link_local; filled by validate()
  ServerRoster roster;           ///< from the file's `servers`
  Duration drain_timeout{std::chrono::seconds(10)};

  /// The parts that the state judges by.
  StateSettings state_settings() const;
};

class RegistryConfig : public DaemonConfig {
 public:
  RegistryConfig();

  OptionTable& options() override { return options_; }
  const LogSettings& log() const override { return settings_.log; }
  Duration drain_timeout() const override { return settings_.drain_timeout; }
  Result<void> read_extra(const nlohmann::json& file) override;
  Result<void> validate() override;

  const RegistrySettings& settings() const { return settings_; }

 private:
  RegistrySettings settings_;
  OptionTable options_;
};

}  // namespace svc::registry
