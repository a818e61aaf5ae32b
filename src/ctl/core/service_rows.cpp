#include "ctl/core/service_rows.hpp"

#include <algorithm>
#include <map>

#include "common/core/wire/registry_api.hpp"
#include "ctl/core/daemon_pages.hpp"

namespace svc::ctl {
namespace {

/// Is it an engine, which a router uses? An entry without a type that states models is one, too.
bool is_engine(const RegisteredService& service) {
  return service.type == wire::kTypeOpenAiApi || (service.type.empty() && !service.models.empty());
}

/// "running", or why it takes no work although its status says so.
std::string state_of(const RegisteredService& service) {
  if (service.is_healthy || service.status != wire::kStatusRunning) return service.status;
  return service.health_status == "unhealthy" ? "fails its probes" : "no heartbeats";
}

class Rows {
 public:
  explicit Rows(const FleetAnswers& answers) : answers_(answers) {}

  std::vector<ServiceRow> build() {
    add_registered();
    add_expected();
    add_own();
    add_routed();
    std::vector<ServiceRow> list;
    for (auto& [name, row] : rows_) list.push_back(std::move(row));
    return list;
  }

 private:
  ServiceRow& row(const std::string& name) {
    ServiceRow& found = rows_[name];
    found.name = name;
    return found;
  }

  void add_registered() {
    const auto services = parse_registered_services(answers_.registry_services.body);
    registry_known_ = services.has_value();
    if (!services) return;
    std::map<std::string, const RegisteredService*> parents;
    for (const RegisteredService& service : *services) parents[service.name] = &service;
    for (const RegisteredService& service : *services) {
      if (is_engine(service)) add_engine(service, parents);
    }
    // Agents whose engine has not been ready yet, and entries that nobody routes to.
    for (const RegisteredService& service : *services) {
      if (!is_engine(service) && !rows_.contains(service.name)) add_other(service);
    }
  }

  void add_engine(const RegisteredService& engine, const std::map<std::string, const RegisteredService*>& parents) {
    const std::string& name = engine.parent.empty() ? engine.name : engine.parent;
    ServiceRow& into = row(name);
    into.host = engine.host;
    into.port = engine.port;
    into.state = state_of(engine);
    into.models = engine.models;
    into.weight = engine.weight;
    into.backup = engine.backup;
    into.ok = engine.is_healthy;
    engines_[engine.name] = name;
    if (const auto parent = parents.find(engine.parent); parent != parents.end()) {
      into.restarts = parent->second->restarts;
      if (!into.ok && !parent->second->last_exit.empty()) into.state += ", ended: " + parent->second->last_exit;
    }
  }

  void add_other(const RegisteredService& service) {
    ServiceRow& into = row(service.name);
    into.host = service.host;
    const bool is_agent = service.restarts.has_value();
    into.port = is_agent && service.port > 0 ? static_cast<std::uint16_t>(service.port - 1) : service.port;
    into.state = state_of(service);
    into.restarts = service.restarts;
    // An agent alone has an engine that takes no work yet, whatever its status.
    into.ok = service.is_healthy && !is_agent;
    if (!into.ok && !service.last_exit.empty()) into.state += ", ended: " + service.last_exit;
  }

  void add_expected() {
    for (const MissingService& missing : parse_missing_services(answers_.registry_stats.body)) {
      if (rows_.contains(missing.name)) continue;
      ServiceRow& into = row(missing.name);
      into.host = missing.host;
      into.state = "not registered";
    }
  }

  /// What this host's own agents say is newer and more than the registry knows.
  void add_own() {
    for (const PartAnswers& each : answers_.parts) {
      if (each.part.kind != DaemonKind::service) continue;
      const bool known = rows_.contains(each.part.name);
      ServiceRow& into = row(each.part.name);
      if (into.host.empty()) into.host = each.part.engine_host;
      // One that is in no file any more has no port.
      if (into.port == 0 && each.part.port > 0) into.port = static_cast<std::uint16_t>(each.part.port - 1);
      auto status = parse_agent_status(each.detail.body);
      if (!status) status = parse_agent_status(each.health.body);
      if (!status) {
        if (!known || into.state == "not registered")
          into.state = each.pid || each.listener ? "its agent does not answer" : "not started";
        continue;
      }
      if (status->restarts) into.restarts = status->restarts;
      if (into.models.empty()) into.models = status->models;
      const std::string state = status->state.empty() ? status->status : status->state;
      const bool ready = each.health.status == 200;
      if (!known || !ready) into.state = state;
      if (!ready && !status->last_exit.empty()) into.state += ", ended: " + status->last_exit;
      if (!ready) {
        into.ok = false;
      } else if (!known) {
        // Where no registry can be asked, the agent's word has to do.
        into.ok = !registry_known_;
        if (registry_known_) into.state += ", not registered";
      }
    }
  }

  void add_routed() {
    const auto services = parse_routed_services(answers_.router_stats.body);
    if (!services) return;
    for (const RoutedService& service : *services) {
      ServiceRow& into = row(row_of(service.name));
      if (!engines_.contains(service.name)) take_static(service, into);
      into.routing = service.state;
      into.in_flight = service.in_flight;
      into.requests = service.requests;
      into.errors = service.errors;
      into.ttft_p50_seconds = service.ttft_p50_seconds;
      into.ttft_p95_seconds = service.ttft_p95_seconds;
      if (into.models.empty()) into.models = service.models;
      into.ok = into.ok && service.usable;
    }
    for (const auto& [name, of] : engines_) {
      ServiceRow& into = rows_[of];
      if (!into.routing.empty()) continue;
      into.routing = "unknown to it";
      into.ok = false;
    }
  }

  /// While the registry is away nobody says whose engine it is but its name.
  [[nodiscard]] std::string row_of(const std::string& engine) const {
    if (const auto known = engines_.find(engine); known != engines_.end()) return known->second;
    constexpr std::string_view kEnding = "-server";
    if (!engine.ends_with(kEnding)) return engine;
    const std::string name = engine.substr(0, engine.size() - kEnding.size());
    return rows_.contains(name) || !registry_known_ ? name : engine;
  }

  void take_static(const RoutedService& service, ServiceRow& into) const {
    if (!into.state.empty()) return;
    into.host = service.host;
    into.port = service.port;
    into.weight = service.weight;
    into.backup = service.backup;
    into.state = service.is_static ? "static" : "not in the registry";
    // Without the registry's list, what the router still has of it is all that is known.
    into.ok = service.is_static || !registry_known_;
  }

  const FleetAnswers& answers_;
  std::map<std::string, ServiceRow> rows_;
  std::map<std::string, std::string> engines_;  ///< an engine's name to that of its row
  bool registry_known_ = false;
};

}  // namespace

std::vector<ServiceRow> service_rows(const FleetAnswers& answers) { return Rows(answers).build(); }

}  // namespace svc::ctl
