// All that the router knows of instances: merges static services, what the registry says, the view kept on disk and
// what instances said of themselves, decides who stays, and gives each incarnation its UpstreamLive. Control thread
// only. Pure. A static service wins over a registered one of its name. When the registry has lost touch with most
// instances at once (leases ran out, at least three and more than half), it is taken to be the one that is cut off:
// they keep serving, as long as the router's own checks find them well.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "router/core/upstream.hpp"

namespace svc::router {

struct FleetSettings {
  Duration removal_grace{std::chrono::seconds(60)};
  std::uint32_t max_concurrency = 0;  ///< for those that state none
  bool honour_stated_concurrency = false;
  std::size_t threads = 1;    ///< data threads, for the counters of UpstreamLive
  bool has_registry = false;  ///< there is one to hear from: static services alone are not the whole picture
};

class Fleet {
 public:
  explicit Fleet(FleetSettings settings) : settings_(settings) {}
  void reconfigure(FleetSettings settings) { settings_ = settings; }

  // Each returns whether the upstreams changed (a new table is due).
  bool set_static(std::vector<UpstreamSpec> specs);
  /// Only before the first answer of a registry: counts as listed at `now`, and as old as the view is.
  bool load_view(std::vector<UpstreamSpec> specs, TimePoint now);
  /// The whole list of a registry. `healthy_only`: the original's `?healthy=true`, where one that is missing may merely
  /// be late: it stays for removal_grace (pinned ones for good). Else: a list of all, in which one that is missing was
  /// removed: it is dropped. An empty list that follows a longer one, from a registry that says it is warming, changes
  /// nothing (`incomplete`).
  bool apply_list(std::vector<UpstreamSpec> specs, bool healthy_only, bool incomplete, TimePoint now);
  /// One change out of a watch; nullopt: removed.
  bool apply_change(const std::string& name, std::optional<UpstreamSpec> spec, TimePoint now);
  /// What the instance said that it serves; only for those whose record states nothing.
  bool learn_models(const std::string& name, const std::string& incarnation, std::vector<std::string> models);
  /// Ends the grace of those that are missing for long. Call every second.
  bool sweep(TimePoint now);

  /// For RoutingTable::build; by name.
  [[nodiscard]] std::vector<Upstream> upstreams() const;
  /// It is known which models there are: the registry was heard or its kept view read, or there are static services and
  /// no registry.
  [[nodiscard]] bool known() const { return known_; }
  [[nodiscard]] std::size_t size() const { return members_.size(); }
  /// Those that a registry gave, for the view on disk.
  [[nodiscard]] std::vector<UpstreamSpec> registry_specs() const;

 private:
  struct Member {
    UpstreamSpec spec;  ///< as it came: settings are applied in upstreams()
    std::shared_ptr<UpstreamLive> live;
    std::optional<TimePoint> missing_since;
    std::vector<std::string> learned_models;
  };
  using Members = std::map<std::string, Member, std::less<>>;
  /// From this many lapsed leases on, and when they are more than half of all: it is the registry that is cut off.
  static constexpr std::size_t kMassLapse = 3;

  bool put(UpstreamSpec spec);
  bool put_registered(UpstreamSpec spec);
  bool drop(Members::iterator member);
  void let_go(Member& member);
  std::shared_ptr<UpstreamLive> new_live();
  void apply_settings(UpstreamSpec& spec) const;
  bool judge();
  [[nodiscard]] bool serves(const UpstreamSpec& spec) const;

  FleetSettings settings_;
  Members members_;
  std::map<std::string, UpstreamSpec, std::less<>> shadowed_;  // registered, under the name of a static service
  std::vector<std::weak_ptr<UpstreamLive>> slots_;
  std::vector<std::uint32_t> free_slots_;
  std::size_t let_go_ = 0;  // slots that are free, or will be once tables and requests have let go of them too
  bool distrust_lapses_ = false;
  bool known_ = false;
};

}  // namespace svc::router
