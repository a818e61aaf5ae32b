#include "registry/io/registry_metrics.hpp"

#include <algorithm>
#include <array>

#include "common/core/clock.hpp"

namespace svc::registry {
namespace {

constexpr const char* kByStatus = "infinilm_registry_services_by_status";
constexpr std::size_t kMaxSeries = 32;
const std::string kOther = "other";

}  // namespace

RegistryMetrics::RegistryMetrics() {
  const auto change = [this](const char* kind) {
    return metrics_.counter("infinilm_registry_changes_total", "Changes of the fleet by kind", {{"kind", kind}});
  };
  by_status_.emplace(wire::kStatusRunning,
                     metrics_.gauge(kByStatus, "Registered services", {{"status", std::string(wire::kStatusRunning)}}));
  registrations_ = change("registered");
  updates_ = change("updated");
  unregistrations_ = change("unregistered");
  removals_ = change("removed_stale");
  expirations_ = change("lease_expired");
  renewals_ = change("lease_renewed");
  became_unhealthy_ = change("became_unhealthy");
  became_healthy_ = change("became_healthy");
  const auto heartbeat = [this](const char* outcome) {
    return metrics_.counter("infinilm_registry_heartbeats_total", "Heartbeats by outcome", {{"outcome", outcome}});
  };
  heartbeats = heartbeat("accepted");
  heartbeats_unknown = heartbeat("refused");
  const auto probe = [this](const char* outcome) {
    return metrics_.counter("infinilm_registry_probes_total", "Health probes by outcome", {{"outcome", outcome}});
  };
  probes_good = probe("healthy");
  probes_bad = probe("unhealthy");
  probe_seconds = metrics_.histogram("infinilm_registry_probe_seconds", "Time a health probe took", latency_buckets());
  store_seconds =
      metrics_.histogram("infinilm_registry_store_commit_seconds", "Time a durable commit took", latency_buckets());
  store_failures = metrics_.counter("infinilm_registry_store_failures_total",
                                    "Changes that the store refused, or did not answer in time");
  name_conflicts_ = metrics_.counter("infinilm_registry_name_conflicts_total",
                                     "Registrations of a live name from another address, accepted or refused");
  pauses = metrics_.counter("infinilm_registry_pauses_total",
                            "Times this process was stopped for so long that every lease was given a full term");
}

void RegistryMetrics::follow(const RegistryState& state, std::function<std::size_t()> watchers,
                             std::function<std::size_t()> connections, std::function<std::size_t()> store_pending) {
  metrics_.add_collector([this, &state] { refresh(state); });
  const auto gauge = [this](const char* name, const char* help, std::function<std::size_t()> read) {
    metrics_.add_collector(
        [gauge = metrics_.gauge(name, help), read = std::move(read)] { gauge.set(static_cast<double>(read())); });
  };
  gauge("infinilm_registry_watchers", "Long polls that are waiting", std::move(watchers));
  gauge("infinilm_registry_connections", "Open client connections", std::move(connections));
  gauge("infinilm_registry_store_pending", "Changes that wait for the disk", std::move(store_pending));
}

void RegistryMetrics::refresh(const RegistryState& state) {
  // Series of a status that nobody has any more must fall to 0, not stay at their last value.
  static constexpr const char* kByHealth = "infinilm_registry_services_by_health";
  const auto stats = state.stats(steady_now());
  const auto set = [this](const char* name, const char* label, const auto& counts,
                          std::map<std::string, Gauge>& known) {
    for (auto& [value, gauge] : known) {
      gauge.set(0);
    }
    for (const auto& [any, count] : counts) {
      // A status is any text that a client sends: the number of series must have an end.
      const std::string& value = known.size() < kMaxSeries || known.contains(any) ? any : kOther;
      auto at = known.find(value);
      if (at == known.end()) {
        at = known.emplace(value, metrics_.gauge(name, "Registered services", {{label, value}})).first;
      }
      at->second.add(static_cast<double>(count));
    }
  };
  name_conflicts_.add(static_cast<double>(stats.name_conflicts - name_conflicts_counted_));
  name_conflicts_counted_ = stats.name_conflicts;
  set(kByStatus, "status", stats.by_status, by_status_);
  set(kByHealth, "health", stats.by_health, by_health_);
  const auto one = [this](const char* name, const char* help, double value) { metrics_.gauge(name, help).set(value); };
  one("infinilm_registry_services", "Registered services", static_cast<double>(stats.total));
  one("infinilm_registry_services_healthy", "Services that may take work", static_cast<double>(stats.healthy));
  one("infinilm_registry_revision", "Revision of the fleet", static_cast<double>(state.revision()));
  const auto removal = state.removal_status();
  one("infinilm_registry_removal_on_hold", "1 while removal of stale services is stopped (self-preservation)",
      removal.on_hold ? 1 : 0);
  one("infinilm_registry_removal_waiting", "Stale services that the last sweep left in place",
      static_cast<double>(removal.waiting));
}

void RegistryMetrics::count(const Event& event) {
  switch (event.kind) {
    case EventKind::registered: return registrations_.add();
    case EventKind::updated: return updates_.add();
    case EventKind::unregistered: return unregistrations_.add();
    case EventKind::removed_stale: return removals_.add();
    case EventKind::lease_expired: return expirations_.add();
    case EventKind::lease_renewed: return renewals_.add();
    case EventKind::became_unhealthy: return became_unhealthy_.add();
    case EventKind::became_healthy: return became_healthy_.add();
  }
}

void RegistryMetrics::count(const HttpExchange& exchange) {
  static constexpr std::array<std::string_view, 6> kMethods{"other", "GET", "HEAD", "POST", "PUT", "DELETE"};
  const auto known = std::find(kMethods.begin() + 1, kMethods.end(), exchange.method);
  const std::size_t method = known == kMethods.end() ? 0 : static_cast<std::size_t>(known - kMethods.begin());
  const auto [at, fresh] = requests_.try_emplace({exchange.pattern.data(), method, exchange.status});
  if (fresh) {
    at->second = metrics_.counter("infinilm_registry_http_requests_total", "Requests by path, method and status",
                                  {{"path", exchange.pattern.empty() ? "other" : std::string(exchange.pattern)},
                                   {"method", std::string(kMethods[method])},
                                   {"status", std::to_string(exchange.status)}});
  }
  at->second.add();
}

}  // namespace svc::registry
