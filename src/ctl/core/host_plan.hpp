// What of a configuration folder belongs to one host: which daemons it starts, with what command, and where they answer.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/core/services_file.hpp"
#include "ctl/core/daemon_settings.hpp"
#include "ctl/core/dry_run_text.hpp"
#include "ctl/core/readiness.hpp"

namespace svc::ctl {

/// A daemon's configuration file and what follows from it.
struct DaemonFile {
  std::string path;           ///< "" = there is none
  bool states_port = false;   ///< the file says its port itself: it wins over flags
  DaemonSettings settings{};  ///< in force; defaults when there is no file
  std::string problem{};      ///< why the settings are not known: the daemon's own sentence; "" = they are
};

/// A service of a services file that is this host's.
struct ServiceFile {
  ServiceEntry entry;
  std::string path;        ///< of the services file
  DaemonSettings agent{};  ///< of an agent for this service alone
  DryRun dry_run{};        ///< what it would run, without a registry from outside
  std::string problem{};
};

/// What was found. Paths are absolute.
struct HostFacts {
  std::string bin_dir;  ///< where the daemons' binaries are
  std::string run_dir;  ///< the daemons are started in it: relative paths in their files begin here
  DaemonFile registry, router;
  std::string agent_config;  ///< settings for every agent; "" = none
  std::vector<ServiceFile> services;
  std::vector<std::string> file_problems;  ///< services files that cannot be used: "PATH: REASON"
  std::vector<std::string> own_names;
};

/// What the operator said on the command line.
struct HostWishes {
  std::optional<std::uint16_t> registry_port, router_port;
  std::string registry_url, router_url;  ///< "" = from the files
  std::string host;                      ///< which of the hosts in the files this is; "" = by its own names
};

/// A daemon that can be started on this host.
struct Part {
  DaemonKind kind = DaemonKind::registry;
  std::string id;          ///< its log and PID file are called so: "registry", "distributed_router", a service's name
  std::string name;        ///< for people: "registry", "router", a service's name
  bool here = false;       ///< it belongs to this host
  std::string why;         ///< why it does, or does not
  std::string url;         ///< where it answers; of a service: its agent's pages
  std::uint16_t port = 0;  ///< of `url`; the engine of a service is one below
  std::string engine_host{};           ///< of a service: as its file says; "" = not known
  std::string listens;                 ///< the address that the port is opened on
  std::string log_file;                ///< the daemon's own; absolute; "" = none
  std::string engine_log{};            ///< of a service: what its engine prints
  std::string token_file{};            ///< where a token for its pages stands; absolute; "" = none is needed
  std::string tls_ca{};                ///< what its certificate is checked with; absolute; "" = the system's
  std::vector<std::string> command{};  ///< program and arguments
  std::string problem{};               ///< why it cannot be started; "" = it can
  std::string remark{};                ///< what the operator should know: a flag that is not used
};

struct HostPlan {
  std::vector<Part> parts;    ///< in the order of starting: registry, router, services as in their files
  std::string registry_url;   ///< of the fleet; "" = there is no registry
  std::string router_url;     ///< "" = not known
  bool router_known = false;  ///< false: router_url is a guess (beside the registry), silence there means nothing
};

inline constexpr std::uint16_t kRegistryPort = 8081;
inline constexpr std::uint16_t kRouterPort = 8080;

/// The registry is here when there is its file and the registry's URL leads to this host (or nobody states one). The router
/// is here when there is its file and it is beside the registry, or this host has no services. A daemon that listens on
/// an address of another host is not here. Services register where their own settings say, else at the registry of the
/// folder; wishes.registry_url wins over both.
[[nodiscard]] HostPlan plan_host(const HostFacts& facts, const HostWishes& wishes);

/// A base name that PID and log files can have: not empty, no '/', no '.' first.
[[nodiscard]] bool is_file_name(std::string_view name);

}  // namespace svc::ctl
