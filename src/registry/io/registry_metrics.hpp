// The registry's Prometheus metrics, by name, in one place.
#pragma once

#include <map>
#include <string>
#include <tuple>

#include "common/io/http_server.hpp"
#include "common/io/metrics.hpp"
#include "registry/core/registry_state.hpp"

namespace svc::registry {

class RegistryMetrics {
 public:
  RegistryMetrics();

  /// Gauges that follow the state are set at each scrape.
  void follow(const RegistryState& state, std::function<std::size_t()> watchers,
              std::function<std::size_t()> connections, std::function<std::size_t()> store_pending);
  void count(const Event& event);
  void count(const HttpExchange& exchange);

  std::string text() const { return metrics_.text(); }

  Counter heartbeats, heartbeats_unknown;
  Counter probes_good, probes_bad;
  Histogram probe_seconds, store_seconds;
  Counter store_failures;
  Counter pauses;

 private:
  void refresh(const RegistryState& state);

  Metrics metrics_;
  Counter name_conflicts_;
  std::uint64_t name_conflicts_counted_ = 0;
  std::map<std::string, Gauge> by_status_, by_health_;
  /// By pattern (which outlives the server's requests: compared by address), method and status.
  std::map<std::tuple<const char*, std::size_t, int>, Counter> requests_;
  Counter registrations_, updates_, unregistrations_, removals_, expirations_, renewals_, became_unhealthy_,
      became_healthy_;
};

}  // namespace svc::registry
