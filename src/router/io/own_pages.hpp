// The router's own pages, made from what the control thread knows: /health /status /ready /services /stats /models
// /v1/models /v1/models/{id} /explain. (/metrics is made by RouterMetrics.) The shapes are those of the original
// router; what is new stands behind what was there.
//
//   own_pages.cpp           which page, health, readiness, models
//   own_pages_services.cpp  services, statistics
//   own_pages_explain.cpp   what a request would get, and why
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/core/clock.hpp"
#include "router/core/model_list.hpp"
#include "router/core/routing_table.hpp"
#include "router/core/traffic_stats.hpp"
#include "router/io/control_port.hpp"
#include "router/io/health_monitor.hpp"
#include "router/io/prefix_book.hpp"

namespace svc::router {

class AccessLog;
class WaitQueues;
struct RouterSettings;

/// Where the list of instances comes from, and how old it is.
struct DiscoveryFacts {
  std::string state;       ///< "none" (no registry), "connecting", "polling", "watching", "unreachable"
  std::string last_error;  ///< "" when the last call was answered
  std::optional<Duration>
      view_age;  ///< since the registry's last answer (or since the kept view was saved); nullopt: never
  bool view_from_disk = false;
  std::uint64_t revision = 0;
  std::uint64_t polls = 0, watch_events = 0, resyncs = 0, errors = 0, unreadable = 0;
};

/// What the pages are made from; all views are valid during the call.
struct ControlView {
  TimePoint now, started;
  WallTime wall_started;
  std::shared_ptr<const RoutingTable> table;
  const RouterSettings* settings = nullptr;
  DiscoveryFacts discovery;
  bool draining = false;
  std::span<const ThreadStats* const> threads;
  const WaitQueues* queues = nullptr;
  const AccessLog* access_log = nullptr;
  PrefixBook* prefix = nullptr;
  std::uint64_t stalls = 0;                                   ///< instances that were found to make no progress
  std::function<const ProbeNote*(const UpstreamLive&)> note;  ///< never empty
};

/// "up", "down", "hung", "ejected", "draining" or "unknown".
[[nodiscard]] std::string_view state_of(const UpstreamLive& live, TimePoint now);

class OwnPages {
 public:
  /// Any own path but /metrics, any method. HEAD is answered like GET: who sends it leaves the body out.
  [[nodiscard]] OwnAnswer answer(const OwnRequest& request, const ControlView& view);

  /// 405, or 204 for OPTIONS; nullopt for GET and HEAD.
  [[nodiscard]] static std::optional<OwnAnswer> refuse_method(const OwnRequest& request);

 private:
  OwnAnswer health(const ControlView& view) const;
  OwnAnswer ready(const ControlView& view) const;
  OwnAnswer services(const ControlView& view) const;
  OwnAnswer stats(const ControlView& view) const;
  OwnAnswer models(const ControlView& view);
  OwnAnswer model(std::string_view encoded_id, const ControlView& view);
  OwnAnswer explain(const OwnRequest& request, const ControlView& view) const;
  // own_pages_explain_prefix.cpp
  static OwnAnswer explain_sent(const std::string& request_id, const ControlView& view);
  /// `model`: as it is served, which is the group's name only where instances state their models.
  static std::vector<PrefixBook::Opinion> opinions(const Group& group, std::string_view model,
                                                   const PickContext& context, std::string_view prompt,
                                                   std::string_view key, const ControlView& view);
  const std::vector<ModelEntry>& model_entries(const ControlView& view);

  /// Clients ask for the models often, and the objects lie in the metadata of every instance.
  std::vector<ModelEntry> models_;
  std::weak_ptr<const RoutingTable> models_of_;
  std::vector<bool> models_usable_;
};

}  // namespace svc::router
