// What the parts of the control plane are told of the settings and of each other, and what the own pages are shown.
#include "router/io/control_plane_impl.hpp"

namespace svc::router {

FleetSettings ControlPlane::Impl::fleet_settings() const {
  FleetSettings fleet_rules;
  fleet_rules.removal_grace = settings.service_removal_grace_period;
  fleet_rules.max_concurrency = settings.max_concurrency;
  fleet_rules.honour_stated_concurrency = settings.honour_stated_concurrency;
  fleet_rules.threads = std::max<std::size_t>(parts.threads.size(), 1);
  fleet_rules.has_registry = !settings.registry_url.empty();
  return fleet_rules;
}

MonitorRules ControlPlane::Impl::monitor_rules() const {
  MonitorRules rules;
  rules.health = {settings.health_interval, settings.recovery_interval, settings.max_errors, settings.healthy_after};
  rules.hung = {settings.hung_silence, settings.hung_timeout};
  rules.timeout = settings.health_timeout;
  rules.path = settings.health_path;
  return rules;
}

RegistryWatcherSettings ControlPlane::Impl::watcher_settings(const Secrets& secrets) const {
  return {*secrets.registry, secrets.registry_token, settings.registry_sync_interval, settings.address_policy};
}

RegistryWatcherCallbacks ControlPlane::Impl::watcher_callbacks() {
  RegistryWatcherCallbacks callbacks;
  // A call of a watcher that was told to stop may still be answered.
  const auto turn = watchers.size() + 1;
  callbacks.on_list = [this, turn](std::vector<UpstreamSpec> specs, bool healthy_only, bool incomplete) {
    if (watchers.size() != turn) return;
    const bool known = fleet.known();
    const bool changed = fleet.apply_list(std::move(specs), healthy_only, incomplete, steady_now());
    if (changed && view_file) view_file->mark_changed();
    if (changed || known != fleet.known()) fleet_changed();
  };
  callbacks.on_change = [this, turn](const std::string& name, std::optional<UpstreamSpec> spec) {
    if (watchers.size() != turn) return;
    if (!fleet.apply_change(name, std::move(spec), steady_now())) return;
    if (view_file) view_file->mark_changed();
    fleet_changed();
  };
  callbacks.on_contact = [this, turn](TimePoint) {
    if (watchers.size() == turn && view_file) view_file->mark_confirmed();
  };
  return callbacks;
}

MonitorCallbacks ControlPlane::Impl::monitor_callbacks() {
  MonitorCallbacks callbacks;
  callbacks.changed = [this] { request_table(); };
  callbacks.came_back = [this] { fleet_changed(); };
  callbacks.hung = [this](std::shared_ptr<UpstreamLive> live) { parts.hung(std::move(live)); };
  callbacks.proved_well = [this](const MonitorTarget& target) { learner.proved_well(target); };
  return callbacks;
}

DiscoveryFacts ControlPlane::Impl::discovery_facts(TimePoint now) const {
  DiscoveryFacts facts;
  const RegistryWatcher* watcher = watchers.empty() ? nullptr : watchers.back().get();
  facts.state = "none";
  if (watcher == nullptr) return facts;
  facts.last_error = watcher->last_error();
  if (!facts.last_error.empty()) {
    facts.state = "unreachable";
  } else if (watcher->link() == RegistryLink::never_reached) {
    facts.state = "connecting";
  } else {
    facts.state = to_string(watcher->link());
  }
  facts.view_age = watcher->age(now);
  facts.view_from_disk = !facts.view_age && view_loaded_at.has_value();
  if (facts.view_from_disk) facts.view_age = view_age_then + (now - *view_loaded_at);
  facts.revision = watcher->revision();
  const auto& counters = watcher->counters();
  facts.polls = counters.polls;
  facts.watch_events = counters.watch_events;
  facts.resyncs = counters.resyncs;
  facts.errors = counters.errors;
  facts.unreadable = counters.unreadable;
  return facts;
}

ControlView ControlPlane::Impl::view() const {
  ControlView shown;
  shown.now = steady_now();
  shown.started = started;
  shown.wall_started = wall_started;
  shown.table = table;
  shown.settings = &settings;
  shown.discovery = discovery_facts(shown.now);
  shown.draining = draining;
  shown.threads = parts.threads;
  shown.queues = parts.queues;
  shown.access_log = parts.access_log;
  shown.prefix = parts.prefix;
  shown.stalls = stalls;
  shown.note = [this](const UpstreamLive& live) { return monitor.note(live); };
  return shown;
}

OwnAnswer ControlPlane::Impl::answer(const OwnRequest& request) {
  const auto shown = view();
  if (request.path != "/metrics") return pages.answer(request, shown);
  if (auto refused = OwnPages::refuse_method(request)) return *std::move(refused);
  return {200, std::string(kMetricsContentType), metrics.text(shown), ""};
}

}  // namespace svc::router
