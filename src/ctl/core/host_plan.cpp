#include "ctl/core/host_plan.hpp"

#include <algorithm>

#include "common/core/http_url.hpp"
#include "common/core/ip_address.hpp"
#include "common/core/registry_url.hpp"

namespace svc::ctl {
namespace {

/// Where a daemon of this host is asked: the address that it listens on, or loopback when it listens on all.
std::string asked_at(const std::string& listens) {
  const auto address = IpAddress::parse(listens);
  if (!address) return "127.0.0.1";
  if (!address->is_unspecified()) return listens;
  return address->is_v4() ? "127.0.0.1" : "::1";
}

std::string url_of(bool tls, const std::string& host, std::uint16_t port) {
  return (tls ? "https://" : "http://") + Endpoint{host, port}.to_string();
}

/// A certificate is made out to a name, so loopback's address will not do.
std::string own_url(const DaemonSettings& settings, std::uint16_t port) {
  return url_of(settings.tls, settings.tls ? "localhost" : asked_at(settings.host), port);
}

std::string absolute(const std::string& run_dir, const std::string& path) {
  return path.empty() || path.starts_with('/') ? path : run_dir + "/" + path;
}

std::uint16_t port_of(const DaemonFile& file, std::optional<std::uint16_t> wished, std::uint16_t usual) {
  if (wished && !file.states_port) return *wished;
  return file.settings.port != 0 ? file.settings.port : usual;
}

std::string host_of(const std::string& url) {
  const auto parsed = parse_http_url(url);
  return parsed ? parsed->endpoint.host : "";
}

class Planner {
 public:
  Planner(const HostFacts& facts, const HostWishes& wishes) : facts_(facts), wishes_(wishes) {}

  HostPlan plan() {
    registry_port_ = port_of(facts_.registry, wishes_.registry_port, kRegistryPort);
    router_port_ = port_of(facts_.router, wishes_.router_port, kRouterPort);
    find_authorities();
    find_registry();
    plan_.parts.push_back(registry());
    plan_.parts.push_back(router());
    for (const ServiceFile& each : facts_.services) plan_.parts.push_back(service(each));
    find_router();
    return std::move(plan_);
  }

 private:
  [[nodiscard]] bool is_own(const std::string& host) const {
    return is_own_host(host, facts_.own_names) || is_loopback_host(host);
  }

  /// Does it listen on one address that is another host's?
  [[nodiscard]] bool listens_elsewhere(const DaemonSettings& settings) const {
    const auto address = IpAddress::parse(settings.host);
    return address && !address->is_unspecified() && !is_own(settings.host);
  }

  /// Whoever checks the registry's certificate says with what; the same serves for the others.
  void find_authorities() {
    std::string ca = facts_.router.settings.tls_ca;
    for (const ServiceFile& each : facts_.services) {
      if (ca.empty()) ca = each.agent.tls_ca;
    }
    tls_ca_ = absolute(facts_.run_dir, ca);
  }

  void find_registry() {
    stated_ = !wishes_.registry_url.empty() ? wishes_.registry_url : facts_.router.settings.registry_url;
    if (const auto base = registry_base(stated_); base) stated_ = *base;
    for (const ServiceFile& each : facts_.services) {
      if (!stated_.empty() || !facts_.registry.path.empty()) break;
      stated_ = each.dry_run.registry_url;
    }
    const bool static_only = !facts_.router.path.empty() && facts_.registry.path.empty() && facts_.services.empty();
    if (!stated_.empty()) {
      plan_.registry_url = stated_;
    } else if (!static_only) {
      plan_.registry_url = own_url(facts_.registry.settings, registry_port_);
    }
  }

  Part registry() {
    const DaemonFile& file = facts_.registry;
    Part part = daemon_part(DaemonKind::registry, "registry", "registry", file, registry_port_, wishes_.registry_port);
    if (file.path.empty()) {
      part.why = "there is no registry_config.json";
    } else if (listens_elsewhere(file.settings)) {
      part.why = "it listens on " + file.settings.host + ", which is another host's address";
    } else if (!stated_.empty() && !is_own(host_of(stated_))) {
      part.why = "the registry is at " + stated_;
    } else {
      part.here = true;
      part.why = file.path;
    }
    // Its certificate is made out to the name that others know it by.
    if (file.settings.tls && !stated_.empty() && is_own(host_of(stated_))) part.url = stated_;
    const DaemonSettings& router = facts_.router.settings;
    const std::string& tokens =
        router.registry_token_file.empty() ? file.settings.token_file : router.registry_token_file;
    part.token_file = absolute(facts_.run_dir, tokens);
    registry_here_ = part.here;
    return part;
  }

  Part router() {
    const DaemonFile& file = facts_.router;
    Part part =
        daemon_part(DaemonKind::router, "distributed_router", "router", file, router_port_, wishes_.router_port);
    const bool follows_elsewhere =
        !plan_.registry_url.empty() && !registry_here_ && !is_own(host_of(plan_.registry_url));
    if (file.path.empty()) {
      part.why = "there is no router_config.json";
    } else if (listens_elsewhere(file.settings)) {
      part.why = "it listens on " + file.settings.host + ", which is another host's address";
    } else if (follows_elsewhere && !facts_.services.empty()) {
      part.why = "this host has services, and the registry is elsewhere: so is the router";
    } else {
      part.here = true;
      part.why = file.path;
    }
    if (file.settings.registry_url != plan_.registry_url && !plan_.registry_url.empty()) {
      part.command.insert(part.command.end(), {"--registry-url", plan_.registry_url});
    }
    router_here_ = part.here;
    return part;
  }

  Part daemon_part(DaemonKind kind, const std::string& id, const std::string& name, const DaemonFile& file,
                   std::uint16_t port, std::optional<std::uint16_t> wished) const {
    Part part;
    part.kind = kind;
    part.id = id;
    part.name = name;
    part.port = port;
    part.listens = file.settings.host;
    part.tls_ca = tls_ca_;
    part.url = own_url(file.settings, port);
    part.log_file = absolute(facts_.run_dir, file.settings.log_file);
    part.problem = file.problem;
    part.command = {facts_.bin_dir + "/infinilm-" + name};
    if (!file.path.empty()) part.command.insert(part.command.end(), {"--config", file.path});
    if (wished && file.states_port && *wished != port) {
      part.remark = file.path + " says port " + std::to_string(port) + ", which wins over " + std::to_string(*wished);
    } else if (wished && !file.states_port) {
      part.command.insert(part.command.end(), {"--port", std::to_string(port)});
    }
    add_log_flag(part);
    return part;
  }

  Part service(const ServiceFile& file) const {
    Part part;
    part.kind = DaemonKind::service;
    part.id = part.name = file.entry.name;
    part.here = true;
    part.why = file.path;
    part.port = static_cast<std::uint16_t>(file.entry.port + 1);
    part.engine_host = file.entry.host;
    part.listens = file.agent.host;
    part.tls_ca = tls_ca_;
    part.token_file = absolute(facts_.run_dir, file.agent.token_file);
    part.url = url_of(file.agent.tls, file.agent.tls ? file.entry.host : asked_at(file.agent.host), part.port);
    part.log_file = absolute(facts_.run_dir, file.agent.log_file);
    part.engine_log = absolute(facts_.run_dir, file.dry_run.log_file);
    part.problem = file.problem;
    if (!is_file_name(part.id)) part.problem = "its name cannot be that of a file: '" + part.id + "'";
    part.command = {facts_.bin_dir + "/infinilm-agent"};
    if (!facts_.agent_config.empty()) part.command.insert(part.command.end(), {"--config", facts_.agent_config});
    part.command.insert(part.command.end(), {"--services", file.path, "--only", file.entry.name});
    if (!wishes_.host.empty()) part.command.insert(part.command.end(), {"--host", wishes_.host});
    const std::string& registry = wishes_.registry_url.empty() ? file.dry_run.registry_url : wishes_.registry_url;
    if (registry.empty() || !wishes_.registry_url.empty()) {
      part.command.insert(part.command.end(), {"--registry", plan_.registry_url});
    }
    add_log_flag(part);
    return part;
  }

  /// What is in the log need not be in the file of stderr as well, which nobody rotates.
  static void add_log_flag(Part& part) {
    if (!part.log_file.empty()) part.command.emplace_back("--log-stderr=false");
  }

  void find_router() {
    if (!wishes_.router_url.empty()) {
      plan_.router_url = wishes_.router_url;
      plan_.router_known = true;
      return;
    }
    const Part& router = plan_.parts[1];
    if (router_here_) {
      plan_.router_url = router.url;
      plan_.router_known = true;
    } else if (!facts_.router.path.empty() && !plan_.registry_url.empty()) {
      plan_.router_url = url_of(facts_.router.settings.tls, host_of(plan_.registry_url), router_port_);
    }
  }

  const HostFacts& facts_;
  const HostWishes& wishes_;
  HostPlan plan_;
  std::string tls_ca_;
  std::string stated_;  ///< URL of the registry as somebody wrote it; "" = nobody did
  std::uint16_t registry_port_ = 0;
  std::uint16_t router_port_ = 0;
  bool registry_here_ = false;
  bool router_here_ = false;
};

}  // namespace

HostPlan plan_host(const HostFacts& facts, const HostWishes& wishes) { return Planner(facts, wishes).plan(); }

bool is_file_name(std::string_view name) {
  return !name.empty() && name.find('/') == std::string_view::npos && !name.starts_with('.');
}

}  // namespace svc::ctl
