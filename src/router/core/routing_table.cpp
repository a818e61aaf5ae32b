#include "router/core/routing_table.hpp"

#include <algorithm>
#include <cmath>
#include <set>
#include <utility>

namespace svc::router {
namespace {

constexpr int kAliasSteps = 8;                       // ends a circle of aliases
constexpr std::int64_t kMostWeight = 1'000'000'000;  // keeps sums within 64 bits

std::uint64_t weight_of(const Upstream& upstream) {
  return static_cast<std::uint64_t>(std::clamp<std::int64_t>(upstream.spec.weight, 0, kMostWeight));
}

bool same_ring(const Group& group, const Group& other) {
  return !other.ring.empty() && std::equal(group.primaries.begin(), group.primaries.end(), other.primaries.begin(),
                                           other.primaries.end(), [](const Upstream* a, const Upstream* b) {
                                             return a->spec.name == b->spec.name && weight_of(*a) == weight_of(*b);
                                           });
}

HashRing ring_of(const Group& group) {
  std::vector<RingMember> members;
  members.reserve(group.primaries.size());
  for (const auto* upstream : group.primaries) members.push_back({upstream->spec.name, weight_of(*upstream)});
  return HashRing(members);
}

/// Fills in what the policies need; members and method are there.
class GroupMaker {
 public:
  GroupMaker(Group& group, const BalancingSettings& settings, TimePoint now, const Group* previous)
      : group_(group), settings_(settings), now_(now), previous_(previous) {}

  void make() {
    decide_panic();
    group_.primary_rotation = rotation(group_.primaries, group_.panic, {});
    group_.backup_rotation = rotation(group_.backups, false, {});
    if (settings_.size_threshold > 0) {
      for (std::size_t type = 0; type < kCacheTypes; ++type) {
        const auto name = to_string(static_cast<CacheType>(type));
        group_.primary_by_cache[type] = rotation(group_.primaries, group_.panic, name);
        group_.backup_by_cache[type] = rotation(group_.backups, false, name);
      }
    }
    if (group_.method == Method::ip_hash || group_.method == Method::session) {
      group_.ring = previous_ != nullptr && same_ring(group_, *previous_) ? previous_->ring : ring_of(group_);
    }
    if (previous_ != nullptr) follow();
  }

 private:
  void decide_panic() {
    std::size_t usable = 0;
    std::size_t members = 0;
    for (const auto* upstream : group_.primaries) {
      const auto weight = weight_of(*upstream);
      if (weight == 0 || !upstream->live->usable_in_panic()) continue;
      ++members;
      if (!upstream->live->usable(now_)) continue;
      ++usable;
      group_.total_weight += weight;
    }
    const bool backed_up = std::any_of(group_.backups.begin(), group_.backups.end(), [this](const Upstream* upstream) {
      return weight_of(*upstream) > 0 && upstream->live->usable(now_);
    });
    group_.panic = static_cast<double>(usable) < settings_.panic_threshold * static_cast<double>(members) &&
                   (usable > 0 || !backed_up);
  }

  Rotation rotation(const std::vector<const Upstream*>& members, bool ejected_too, std::string_view cache_type) const {
    std::vector<std::uint64_t> weights;
    weights.reserve(members.size());
    for (const auto* upstream : members) {
      const auto& live = *upstream->live;
      const bool takes_part = (cache_type.empty() || upstream->spec.cache_type == cache_type) &&
                              (ejected_too ? live.usable_in_panic() : live.usable(now_));
      const auto percent = static_cast<std::uint64_t>(std::lround(ramp_share(live, settings_.slow_start, now_) * 100));
      weights.push_back(takes_part ? weight_of(*upstream) * percent : 0);
    }
    return Rotation(Rotation::smooth_order(weights));
  }

  void follow() {
    group_.primary_rotation.follow(previous_->primary_rotation);
    group_.backup_rotation.follow(previous_->backup_rotation);
    for (std::size_t type = 0; type < kCacheTypes; ++type) {
      group_.primary_by_cache[type].follow(previous_->primary_by_cache[type]);
      group_.backup_by_cache[type].follow(previous_->backup_by_cache[type]);
    }
  }

  Group& group_;
  const BalancingSettings& settings_;
  TimePoint now_;
  const Group* previous_;
};

}  // namespace

std::string_view to_string(Method method) {
  switch (method) {
    case Method::round_robin: return "round_robin";
    case Method::weighted: return "weighted";
    case Method::least_connections: return "least_connections";
    case Method::ip_hash: return "ip_hash";
    case Method::random: return "random";
    case Method::session: return "session";
    case Method::prefix_aware: return "prefix_aware";
  }
  return "";
}

std::optional<Method> parse_method(std::string_view name) {
  if (name == "least_conn") return Method::least_connections;
  for (const auto method : {Method::round_robin, Method::weighted, Method::least_connections, Method::ip_hash,
                            Method::random, Method::session, Method::prefix_aware}) {
    if (name == to_string(method)) return method;
  }
  return std::nullopt;
}

std::string_view to_string(CacheType type) {
  switch (type) {
    case CacheType::paged: return "paged";
    case CacheType::static_cache: return "static";
  }
  return "";
}

double ramp_share(const UpstreamLive& live, Duration slow_start, TimePoint now) {
  const auto began = live.ramp_began_ns.load(std::memory_order_relaxed);
  if (began == 0 || slow_start <= Duration::zero()) return 1;
  const auto part =
      static_cast<double>(now.time_since_epoch().count() - began) / static_cast<double>(slow_start.count());
  return std::clamp(0.1 + 0.9 * part, 0.1, 1.0);
}

std::shared_ptr<const RoutingTable> RoutingTable::build(std::vector<Upstream> upstreams,
                                                        const BalancingSettings& settings, TimePoint now,
                                                        std::uint64_t revision, bool view_known,
                                                        const RoutingTable* previous) {
  auto table = std::make_shared<RoutingTable>();
  table->upstreams_ = std::move(upstreams);
  table->settings_ = settings;
  table->revision_ = revision;
  table->view_known_ = view_known;
  for (const auto& upstream : table->upstreams_) {
    table->slots_ = std::max<std::size_t>(table->slots_, upstream.live->slot + std::size_t{1});
    if (ramp_share(*upstream.live, settings.slow_start, now) < 1) table->ramping_ = true;
  }
  table->make_groups(now, previous);
  return table;
}

void RoutingTable::make_groups(TimePoint now, const RoutingTable* previous) {
  std::set<std::string_view> models;
  for (const auto& upstream : upstreams_) models.insert(upstream.spec.models.begin(), upstream.spec.models.end());
  // One that nobody states may have a method of its own all the same.
  for (const auto& [model, method] : settings_.method_by_model) models.insert(model);
  models.erase("");

  std::map<std::string_view, Group*> by_model;
  for (const auto model : models) {
    auto& group = groups_[std::string(model)] = std::make_unique<Group>();
    group->model = model;
    const auto own = settings_.method_by_model.find(model);
    group->method = own != settings_.method_by_model.end() ? own->second : settings_.method;
    looks_at_prompts_ = looks_at_prompts_ || group->method == Method::prefix_aware;
    by_model.emplace(model, group.get());
  }
  all_ = std::make_unique<Group>();
  any_model_ = std::make_unique<Group>();
  all_->method = any_model_->method = settings_.method;
  looks_at_prompts_ = looks_at_prompts_ || settings_.method == Method::prefix_aware;

  const auto add = [](Group& group, const Upstream& upstream) {
    auto& members = upstream.spec.backup ? group.backups : group.primaries;
    if (members.empty() || members.back() != &upstream) members.push_back(&upstream);  // a model may be named twice
  };
  for (const auto& upstream : upstreams_) {
    add(*all_, upstream);
    if (upstream.spec.models.empty()) {
      add(*any_model_, upstream);
      for (const auto& [model, group] : by_model) add(*group, upstream);
    }
    for (const auto& model : upstream.spec.models) {
      if (!model.empty()) add(*by_model.find(model)->second, upstream);
    }
  }

  const auto nobody = [](const Group& group) { return group.primaries.empty() && group.backups.empty(); };
  std::erase_if(groups_, [&](const auto& entry) { return nobody(*entry.second); });
  for (auto& [model, group] : groups_) {
    GroupMaker(*group, settings_, now, previous != nullptr ? previous->own_group(model) : nullptr).make();
  }
  GroupMaker(*all_, settings_, now, previous != nullptr ? previous->all_.get() : nullptr).make();
  if (nobody(*any_model_)) {
    any_model_.reset();
  } else {
    GroupMaker(*any_model_, settings_, now, previous != nullptr ? previous->any_model_.get() : nullptr).make();
  }
}

const Group* RoutingTable::own_group(std::string_view model) const {
  const auto found = groups_.find(model);
  return found == groups_.end() ? nullptr : found->second.get();
}

const Group* RoutingTable::find(std::string_view model) const {
  const auto served = served_name(model);
  if (served.empty()) return all_.get();
  const auto* own = own_group(served);
  return own != nullptr ? own : any_model_.get();
}

std::string_view RoutingTable::served_name(std::string_view model) const {
  for (int step = 0; step < kAliasSteps; ++step) {
    const auto alias = settings_.model_aliases.find(model);
    if (alias == settings_.model_aliases.end()) break;
    model = alias->second;
  }
  return model;
}

}  // namespace svc::router
