// The settings in force of a daemon, as its own --print-config says them: file, environment, flags and defaults are
// already one.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "common/core/endpoint.hpp"
#include "common/core/result.hpp"

namespace svc::ctl {

struct DaemonSettings {
  std::string host;  ///< address that it listens on (an agent's: of its pages)
  std::uint16_t port = 0;
  bool tls = false;                 ///< it speaks HTTPS only
  std::string tls_ca;               ///< what it checks others with; "" = the system's
  std::string token_file;           ///< tokens that it asks for; "" = none
  std::string registry_url;         ///< whom it follows or registers at; "" = nobody
  std::string registry_token_file;  ///< what it shows there
  std::string log_file;             ///< "" = none
};

/// `section`: "registry", "router" or "agent". Error: the text is not what --print-config prints.
[[nodiscard]] Result<DaemonSettings> parse_daemon_settings(std::string_view printed, std::string_view section);

/// Does a configuration file state the port itself?
[[nodiscard]] bool states_port(const nlohmann::json& file, std::string_view section);

/// An instance that the router's file names itself; what is wrong with an entry is the router's to say.
struct StaticInstance {
  std::string name;
  Endpoint endpoint;
};
[[nodiscard]] std::vector<StaticInstance> static_instances(const nlohmann::json& file);

}  // namespace svc::ctl
