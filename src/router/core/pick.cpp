#include "router/core/pick.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>
#include <vector>

#include "router/core/pick_search.hpp"

namespace svc::router {
namespace {

constexpr std::size_t kMostPoints = 256;    // of a ring, from the key on
constexpr std::size_t kSumsPerMember = 16;  // large groups: the load is summed up every n / 16 picks

class Picker {
 public:
  Picker(const Group& group, const BalancingSettings& settings, const PickContext& context, bool counting)
      : group_(group),
        settings_(settings),
        context_(context),
        counting_(counting),
        search_(settings, context, counting) {}

  PickResult run() {
    // With a threshold of 0 there is no panic; with any other, nobody being usable is less than the threshold.
    const bool last_resort = settings_.panic_threshold > 0;
    // Whoever has failed once in panic goes to the living: spreading the load is for those who come first.
    const bool panic = group_.panic && context_.tried.empty();
    if (!from_primaries(panic) && !from_backups(false) && last_resort) {
      if (panic || !from_primaries(true)) from_backups(true);
    }
    return result_;
  }

 private:
  // Each of these returns whether the search ends: with an upstream, or because all that could are busy.
  bool from_primaries(bool ejected_too) {
    return ends(choose(group_.primaries, group_.primary_rotation, group_.primary_by_cache, ejected_too, true));
  }
  bool from_backups(bool ejected_too) {
    const auto* chosen = choose(group_.backups, group_.backup_rotation, group_.backup_by_cache, ejected_too, false);
    if (chosen != nullptr) result_.step = PickStep::backup;
    return ends(chosen);
  }

  bool ends(const Upstream* chosen) {
    result_.upstream = chosen;
    result_.problem = chosen != nullptr    ? PickProblem::none
                      : search_.saw_full() ? PickProblem::all_busy
                                           : PickProblem::none_usable;
    if (chosen != nullptr && !chosen->live->usable(context_.now)) result_.step = PickStep::panic;
    return result_.problem != PickProblem::none_usable;
  }

  const Upstream* choose(const std::vector<const Upstream*>& members, const Rotation& rotation,
                         const std::array<Rotation, kCacheTypes>& by_cache, bool ejected_too, bool has_ring) {
    const Pool pool{members, rotation, ejected_too};
    if (members.empty()) return nullptr;
    const bool keyed =
        group_.method == Method::ip_hash || (group_.method == Method::session && context_.session_hash != 0);
    if (keyed && has_ring && !group_.ring.empty()) {
      return by_key(pool, group_.method == Method::ip_hash ? context_.client_hash : context_.session_hash);
    }
    if (settings_.size_threshold > 0 && !keyed) {
      const auto wanted = context_.text_bytes > settings_.size_threshold ? CacheType::static_cache : CacheType::paged;
      const auto& preferred = by_cache[static_cast<std::size_t>(wanted)];
      if (!preferred.empty()) {
        const auto* chosen = search_.by_method({members, preferred, ejected_too, to_string(wanted)}, group_.method);
        if (chosen != nullptr) {
          result_.step = PickStep::size_preference;
          return chosen;
        }
      }
    }
    result_.step = PickStep::policy;
    const auto* chosen = search_.by_method(pool, group_.method);
    if (chosen != nullptr && group_.method == Method::prefix_aware && context_.prefix != nullptr) {
      const auto* appraisal = context_.prefix->of(chosen->live->slot);
      if (appraisal != nullptr && appraisal->matched > 0) result_.step = PickStep::prefix;
    }
    return chosen;
  }

  /// Clockwise from the key to the first that has room. When none of those nearby has, the key stays with its owner.
  const Upstream* by_key(const Pool& pool, std::uint64_t key_hash) {
    const auto turn = counting_ ? group_.load.turns.fetch_add(1, std::memory_order_relaxed)
                                : group_.load.turns.load(std::memory_order_relaxed);
    const auto position = group_.ring.find(key_hash);
    const auto most = std::min(kMostPoints, group_.ring.size());
    const Upstream* owner = nullptr;     // first that is able
    const Upstream* previous = nullptr;  // neighbouring points are often of one upstream
    const Upstream* loaded = nullptr;    // first that is only over the bound
    for (std::size_t step = 0; step < most; ++step) {
      const auto* upstream = pool.members[group_.ring.member_at(position + step)];
      if (std::exchange(previous, upstream) == upstream || !search_.able(pool, *upstream)) continue;
      if (owner == nullptr) owner = upstream;
      if (within_bound(pool, *upstream, turn)) {
        if (search_.claim(*upstream)) return keyed(upstream, owner);
      } else if (!search_.full(*upstream) && loaded == nullptr) {
        loaded = upstream;
      }
    }
    if (loaded != nullptr && search_.claim(*loaded)) return keyed(loaded, owner);
    return keyed(search_.any(pool), owner);
  }

  const Upstream* keyed(const Upstream* chosen, const Upstream* owner) {
    const bool overflow = owner != nullptr && chosen != owner;
    result_.step = overflow ? PickStep::affinity_overflow : PickStep::affinity;
    return chosen;
  }

  bool within_bound(const Pool& pool, const Upstream& upstream, std::uint64_t turn) {
    const auto count = in_flight(upstream);
    if (count == 0 || settings_.load_bound <= 0) return true;
    if (!summed_) sum_up(pool, turn);
    const auto& sum = group_.load;
    const auto weight = sum.weight.load(std::memory_order_relaxed);
    if (weight == 0) return true;
    const auto share = static_cast<double>(upstream.spec.weight) / static_cast<double>(weight);
    const auto total = static_cast<double>(sum.in_flight.load(std::memory_order_relaxed) + 1);
    return count < std::ceil(settings_.load_bound * total * share - 1e-9);  // what rounding adds is no place
  }

  /// At most once a pick; in large groups only when the last time is some picks ago.
  void sum_up(const Pool& pool, std::uint64_t turn) {
    summed_ = true;
    auto& sum = group_.load;
    const bool known = sum.weight.load(std::memory_order_relaxed) != 0;
    const bool recent = turn - sum.summed_at.load(std::memory_order_relaxed) < pool.members.size() / kSumsPerMember;
    if (pool.members.size() > kScanAll && known && recent) return;
    sum.summed_at.store(turn, std::memory_order_relaxed);
    std::uint64_t count = 0;
    std::uint64_t weight = 0;
    for (const auto* upstream : pool.members) {
      if (!search_.admitted(*upstream, pool.ejected_too)) continue;
      count += in_flight(*upstream);
      weight += static_cast<std::uint64_t>(upstream->spec.weight);
    }
    sum.in_flight.store(count, std::memory_order_relaxed);
    sum.weight.store(weight, std::memory_order_relaxed);
  }

  const Group& group_;
  const BalancingSettings& settings_;
  const PickContext& context_;
  const bool counting_;
  PoolSearch search_;
  bool summed_ = false;
  PickResult result_;
};

}  // namespace

std::string_view to_string(PickStep step) {
  switch (step) {
    case PickStep::policy: return "policy";
    case PickStep::affinity: return "affinity";
    case PickStep::affinity_overflow: return "affinity_overflow";
    case PickStep::prefix: return "prefix";
    case PickStep::size_preference: return "size_preference";
    case PickStep::panic: return "panic";
    case PickStep::backup: return "backup";
  }
  return "";
}

PickResult pick(const Group& group, const BalancingSettings& settings, const PickContext& context) {
  return Picker(group, settings, context, true).run();
}

PickResult preview(const Group& group, const BalancingSettings& settings, const PickContext& context) {
  return Picker(group, settings, context, false).run();
}

}  // namespace svc::router
