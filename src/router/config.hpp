// Settings of infinilm-router: the struct, its option table, and the sections `static_services` and `models` of the
// configuration file. The router_config.json of earlier deployments is such a file as it stands.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "common/core/address_policy.hpp"
#include "common/core/ip_address.hpp"
#include "common/core/option_table.hpp"
#include "common/io/cli.hpp"
#include "common/io/daemon.hpp"
#include "common/io/log.hpp"
#include "router/io/router_settings.hpp"

namespace svc::router {

/// Name, section and prefixes, for the daemon's definition.
CliSpec router_cli();
/// One option for each setting; `settings` must outlive the table.
OptionTable router_options(RouterSettings& settings);

class RouterConfig : public DaemonConfig {
 public:
  RouterConfig();

  OptionTable& options() override { return options_; }
  const LogSettings& log() const override { return settings_.log; }
  Duration drain_timeout() const override { return settings_.drain_timeout; }
  Result<void> read_extra(const nlohmann::json& file) override;
  Result<void> validate() override;

  const RouterSettings& settings() const { return settings_; }

 private:
  Result<void> read_static_file();
  Result<void> add_static(const nlohmann::json& services, const std::string& path, const std::string& origin);
  Result<void> check_weights() const;
  Result<void> follow_aliases();

  RouterSettings settings_;
  std::vector<std::string> without_weight_;  ///< static services that the method `weighted` refuses
  OptionTable options_;
};

}  // namespace svc::router
