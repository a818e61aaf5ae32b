// The inside of ControlPlane. Only control_plane.cpp and control_view.cpp include it.
#pragma once

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <optional>
#include <string>
#include <vector>

#include "common/io/http_client.hpp"
#include "common/io/log.hpp"
#include "common/io/random.hpp"
#include "common/io/resolver.hpp"
#include "common/io/task_group.hpp"
#include "router/core/fleet.hpp"
#include "router/io/control_plane.hpp"
#include "router/io/health_monitor.hpp"
#include "router/io/model_learner.hpp"
#include "router/io/own_pages.hpp"
#include "router/io/registry_watcher.hpp"
#include "router/io/router_metrics.hpp"
#include "router/io/router_settings.hpp"
#include "router/io/upstream_addresses.hpp"
#include "router/io/view_file.hpp"
#include "router/io/wait_queues.hpp"

namespace svc::router {

struct ControlPlane::Impl {
  /// What a configuration names and that may be missing or wrong: read whole before anything changes.
  struct Secrets {
    TlsContext registry_tls, upstream_tls;
    std::string registry_token, upstream_token;
    std::optional<HttpUrl> registry;
  };

  Impl(asio::io_context& io, RouterSettings with, ControlParts with_parts);

  static Result<Secrets> load_secrets(const RouterSettings& settings);
  void take_over(Secrets secrets);
  void follow_registry(const Secrets& secrets);
  void load_view();
  void start_work();
  void stop();

  asio::awaitable<void> maintain();
  void fleet_changed();
  /// A table is made at once when the last one is older than a debounce time, else when it is.
  void request_table();
  void make_table();
  void wake_waiting();
  /// Takes out those whose answers have stopped making progress, and tells the registry.
  void look_for_stalls(TimePoint now);
  asio::awaitable<void> report_unhealthy(std::string name);

  // control_view.cpp
  [[nodiscard]] FleetSettings fleet_settings() const;
  [[nodiscard]] MonitorRules monitor_rules() const;
  [[nodiscard]] RegistryWatcherSettings watcher_settings(const Secrets& secrets) const;
  RegistryWatcherCallbacks watcher_callbacks();
  MonitorCallbacks monitor_callbacks();
  [[nodiscard]] DiscoveryFacts discovery_facts(TimePoint now) const;
  [[nodiscard]] ControlView view() const;
  OwnAnswer answer(const OwnRequest& request);

  asio::any_io_executor executor;
  RouterSettings settings;
  ControlParts parts;
  std::uint16_t listen_port = 0;
  std::atomic<bool> draining{false};
  bool stopped = false;
  const TimePoint started = steady_now();
  const WallTime wall_started = wall_now();
  Logger log{"router"};

  Random random;
  Resolver resolver;
  HttpClient registry_client;
  HttpClient upstream_client;
  Fleet fleet;
  UpstreamAddresses addresses;
  HealthMonitor monitor;
  ModelLearner learner;
  RouterMetrics metrics;
  OwnPages pages;

  std::unique_ptr<ViewFile> view_file;
  std::optional<TimePoint> view_loaded_at;
  Duration view_age_then{};
  std::string followed;                                    ///< the registry's URL
  std::vector<std::unique_ptr<RegistryWatcher>> watchers;  ///< the last one counts, others wait for their call to end

  Timer table_timer;
  Timer second;
  bool table_due = false;
  bool wake_due = false;
  TimePoint table_made{};
  std::uint64_t revision = 0;
  std::uint64_t stalls = 0;
  std::shared_ptr<const RoutingTable> table;
  TaskGroup tasks;  ///< last: tasks refer to all of the above
};

}  // namespace svc::router
