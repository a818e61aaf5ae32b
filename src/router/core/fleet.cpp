#include "router/core/fleet.hpp"

#include <algorithm>
#include <set>
#include <utility>

namespace svc::router {
namespace {

/// The same process as before? Then it keeps its counters, verdict and pool.
bool same_instance(const UpstreamSpec& a, const UpstreamSpec& b) {
  return a.incarnation == b.incarnation && a.endpoint == b.endpoint && a.tls == b.tls;
}

}  // namespace

std::shared_ptr<UpstreamLive> Fleet::new_live() {
  if (free_slots_.empty() && let_go_ > 0) {
    for (std::uint32_t slot = 0; slot < slots_.size(); ++slot) {
      if (slots_[slot].expired()) free_slots_.push_back(slot);
    }
    let_go_ -= std::min(let_go_, free_slots_.size());
  }
  if (free_slots_.empty()) {
    free_slots_.push_back(static_cast<std::uint32_t>(slots_.size()));
    slots_.emplace_back();
  }
  const std::uint32_t slot = free_slots_.back();
  free_slots_.pop_back();
  auto live = std::make_shared<UpstreamLive>(slot, settings_.threads);
  slots_[slot] = live;
  return live;
}

void Fleet::let_go(Member& member) {
  member.live->gone.store(true, std::memory_order_relaxed);
  member.live.reset();
  ++let_go_;
}

bool Fleet::drop(Members::iterator member) {
  let_go(member->second);
  members_.erase(member);
  return true;
}

bool Fleet::put(UpstreamSpec spec) {
  const auto [found, added] = members_.try_emplace(spec.name);
  Member& member = found->second;
  member.missing_since.reset();
  if (!added && member.spec == spec) return false;
  if (!added && !same_instance(member.spec, spec)) {
    let_go(member);
    member.learned_models.clear();
  }
  if (!member.live) member.live = new_live();
  member.spec = std::move(spec);
  return true;
}

/// A static service wins over a registered one of its name, which waits in `shadowed_` for the static one to go.
bool Fleet::put_registered(UpstreamSpec spec) {
  spec.from_config = false;
  const auto found = members_.find(spec.name);
  if (found == members_.end() || !found->second.spec.from_config) return put(std::move(spec));
  auto name = spec.name;
  shadowed_.insert_or_assign(std::move(name), std::move(spec));
  return false;
}

bool Fleet::judge() {
  std::size_t in_service = 0;
  std::size_t lapsed = 0;
  for (const auto& [name, member] : members_) {
    if (member.spec.from_config || !(member.spec.serving || member.spec.lease_lapsed)) continue;
    ++in_service;
    lapsed += member.spec.lease_lapsed ? 1U : 0U;
  }
  const bool distrust = lapsed >= kMassLapse && lapsed * 2 > in_service;
  const bool changed = distrust != distrust_lapses_;
  distrust_lapses_ = distrust;
  for (const auto& [name, member] : members_) {
    member.live->serving.store(serves(member.spec), std::memory_order_relaxed);
  }
  return changed;
}

bool Fleet::serves(const UpstreamSpec& spec) const { return spec.serving || (spec.lease_lapsed && distrust_lapses_); }

bool Fleet::set_static(std::vector<UpstreamSpec> specs) {
  bool changed = false;
  std::set<std::string, std::less<>> names;
  for (UpstreamSpec& spec : specs) {
    spec.from_config = true;
    names.insert(spec.name);
    const auto hidden = members_.find(spec.name);
    if (hidden != members_.end() && !hidden->second.spec.from_config) {
      shadowed_.insert_or_assign(spec.name, hidden->second.spec);
    }
    changed |= put(std::move(spec));
    known_ = known_ || !settings_.has_registry;
  }
  for (auto member = members_.begin(); member != members_.end();) {
    const auto next = std::next(member);
    if (member->second.spec.from_config && !names.contains(member->first)) {
      if (auto waiting = shadowed_.extract(member->first)) {
        changed |= put(std::move(waiting.mapped()));
      } else {
        changed |= drop(member);
      }
    }
    member = next;
  }
  changed |= judge();
  return changed;
}

bool Fleet::load_view(std::vector<UpstreamSpec> specs, TimePoint /*now*/) {
  bool changed = false;
  for (UpstreamSpec& spec : specs) changed |= put_registered(std::move(spec));
  changed |= judge();
  known_ = true;
  return changed;
}

bool Fleet::apply_list(std::vector<UpstreamSpec> specs, bool healthy_only, bool incomplete, TimePoint now) {
  bool changed = false;
  std::set<std::string, std::less<>> names;
  for (UpstreamSpec& spec : specs) {
    names.insert(spec.name);
    changed |= put_registered(std::move(spec));
  }
  known_ = known_ || !incomplete || !names.empty();
  if (!incomplete) {
    std::erase_if(shadowed_, [&names](const auto& entry) { return !names.contains(entry.first); });
    for (auto member = members_.begin(); member != members_.end();) {
      const auto next = std::next(member);
      Member& missing = member->second;
      if (!missing.spec.from_config && !names.contains(member->first)) {
        if (!healthy_only) {
          changed |= drop(member);
        } else if (!missing.missing_since) {
          missing.missing_since = now;
        }
      }
      member = next;
    }
  }
  changed |= judge();
  return changed;
}

bool Fleet::apply_change(const std::string& name, std::optional<UpstreamSpec> spec, TimePoint /*now*/) {
  bool changed = false;
  known_ = true;
  if (spec) {
    changed = put_registered(*std::move(spec));
  } else {
    shadowed_.erase(name);
    const auto member = members_.find(name);
    if (member != members_.end() && !member->second.spec.from_config) changed = drop(member);
  }
  changed |= judge();
  return changed;
}

bool Fleet::learn_models(const std::string& name, const std::string& incarnation, std::vector<std::string> models) {
  const auto found = members_.find(name);
  if (found == members_.end()) return false;
  Member& member = found->second;
  if (member.spec.models_stated || member.spec.incarnation != incarnation) return false;
  if (models.empty() || member.learned_models == models) return false;
  member.learned_models = std::move(models);
  return true;
}

bool Fleet::sweep(TimePoint now) {
  bool changed = false;
  for (auto member = members_.begin(); member != members_.end();) {
    const auto next = std::next(member);
    const auto& since = member->second.missing_since;
    if (since && !member->second.spec.pinned && now - *since >= settings_.removal_grace) changed |= drop(member);
    member = next;
  }
  return changed;
}

void Fleet::apply_settings(UpstreamSpec& spec) const {
  if (!settings_.honour_stated_concurrency || spec.max_concurrency == 0) {
    spec.max_concurrency = settings_.max_concurrency;
  }
  spec.serving = serves(spec);
}

std::vector<Upstream> Fleet::upstreams() const {
  std::vector<Upstream> all;
  all.reserve(members_.size());
  for (const auto& [name, member] : members_) {
    Upstream& upstream = all.emplace_back();
    upstream.spec = member.spec;
    upstream.live = member.live;
    apply_settings(upstream.spec);
    if (!member.spec.models_stated && !member.learned_models.empty()) upstream.spec.models = member.learned_models;
  }
  return all;
}

std::vector<UpstreamSpec> Fleet::registry_specs() const {
  std::vector<UpstreamSpec> specs;
  for (const auto& [name, member] : members_) {
    if (!member.spec.from_config) specs.push_back(member.spec);
  }
  for (const auto& [name, spec] : shadowed_) specs.push_back(spec);
  return specs;
}

}  // namespace svc::router
