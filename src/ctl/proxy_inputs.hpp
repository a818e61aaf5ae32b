// What generate-config reads: the router's settings, and instances from a registry or from files.
#pragma once

#include <string>
#include <vector>

#include "common/core/result.hpp"
#include "ctl/access_options.hpp"
#include "ctl/core/proxy_sources.hpp"

namespace svc::ctl {

/// As the command line says; "" = not given.
struct ProxyInputs {
  std::string registry_url;
  std::string static_file;
  std::string router_config;
  std::vector<std::string> stand_ins;  ///< files of services for when the registry does not answer
};

/// What a router's configuration says.
struct RouterFacts {
  ProxySettings settings;
  std::string registry_url, registry_token_file;
  ProxyCandidates statics;  ///< its static services
};

/// The settings in force with that file, as infinilm-router itself prints them; with "" its defaults. Paths are made
/// absolute. Error: no infinilm-router, or its own words about what is wrong.
[[nodiscard]] Result<RouterFacts> read_router_facts(const std::string& config_file);

/// The instances: of the registry if one is named (by `inputs`, or else by the router's configuration), and then besides
/// the static ones of the router's configuration; else of the static file; else those static ones alone. Fills
/// settings.source. When the registry does not answer at all and there are stand-ins, theirs and the static ones are taken.
/// Error: no source, one that cannot be read, or a registry without a healthy instance.
[[nodiscard]] Result<ProxyCandidates> find_upstreams(const ProxyInputs& inputs, const AccessOptions& access,
                                                     RouterFacts& router);

/// nginx does not start with a name that it finds no address for: such instances are moved to `left_out`.
void leave_out_unknown_names(ProxyCandidates& found);

}  // namespace svc::ctl
