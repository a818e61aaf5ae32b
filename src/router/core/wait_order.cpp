#include "router/core/wait_order.hpp"

#include <algorithm>

#include "common/core/header_rules.hpp"

namespace svc::router {
namespace {

constexpr std::size_t kTriedOfKey =
    16;  // where there are several: one whose instances are all busy must not hide the others
constexpr double kTurnSeconds = 0.05;  // what a turn costs its key besides its prefill

double seconds_between(TimePoint from, TimePoint to) {
  return to > from ? std::chrono::duration<double>(to - from).count() : 0.0;
}

}  // namespace

std::string_view to_string(Priority priority) {
  switch (priority) {
    case Priority::interactive: return "interactive";
    case Priority::standard: return "default";
    case Priority::batch: return "batch";
  }
  return "";
}

std::optional<Priority> parse_priority(std::string_view name) {
  for (const auto priority : {Priority::interactive, Priority::standard, Priority::batch}) {
    if (equal_ignoring_case(name, to_string(priority))) return priority;
  }
  return std::nullopt;
}

void WaitOrder::add(const WaitItem& item) {
  auto& of = classes_[static_cast<std::size_t>(item.priority)];
  auto [found, fresh] = of.owners.try_emplace(item.owner);
  if (fresh) {
    found->second.served = of.clock;
    of.by_served.emplace(of.clock, item.owner);
  }
  found->second.items.insert_or_assign(item.id, item);
  if (places_.insert_or_assign(item.id, Place{item.priority, item.owner}).second) ++of.count;
}

void WaitOrder::drop(Class& of, std::uint64_t owner, std::uint64_t id) {
  const auto found = of.owners.find(owner);
  found->second.items.erase(id);
  --of.count;
  if (found->second.items.empty()) {
    of.by_served.erase({found->second.served, owner});
    of.owners.erase(found);
  }
  if (of.count == 0) of.credit = 0;
  places_.erase(id);
}

bool WaitOrder::remove(std::uint64_t id) {
  const auto place = places_.find(id);
  if (place == places_.end()) return false;
  drop(classes_[static_cast<std::size_t>(place->second.priority)], place->second.owner, id);
  return true;
}

bool WaitOrder::take(std::uint64_t id) {
  const auto place = places_.find(id);
  if (place == places_.end()) return false;
  const auto [priority, owner_id] = place->second;
  const auto index = static_cast<std::size_t>(priority);
  auto& of = classes_[index];
  if (of.credit >= 1) of.credit -= 1;
  for (auto lower = index + 1; lower < kPriorities; ++lower) {
    if (classes_[lower].count > 0) classes_[lower].credit += kLowerShare;
  }
  auto& owner = of.owners.find(owner_id)->second;
  of.by_served.erase({owner.served, owner_id});
  of.clock = std::max(of.clock, owner.served);
  owner.served += owner.items.find(id)->second.seconds + kTurnSeconds;
  of.by_served.emplace(owner.served, owner_id);
  drop(of, owner_id, id);
  return true;
}

std::optional<std::uint64_t> WaitOrder::next_of(Class& of, TimePoint now, const WaitRule& rule, std::size_t& tries,
                                                const std::function<bool(std::uint64_t)>& ready) {
  const std::size_t each = of.by_served.size() > 1 ? kTriedOfKey : kMostTried;
  for (const auto& [served, owner_id] : of.by_served) {
    std::size_t left = std::min(each, tries);
    const auto& items = of.owners.find(owner_id)->second.items;
    if (!rule.shortest_first) {
      for (auto item = items.begin(); item != items.end() && left > 0; ++item, --left, --tries) {
        if (ready(item->first)) return item->first;
      }
      continue;
    }
    keys_.clear();
    for (auto item = items.begin(); item != items.end() && keys_.size() < kMostLooked; ++item) {
      keys_.emplace_back(item->second.seconds - rule.aging * seconds_between(item->second.since, now), item->first);
    }
    const auto best = std::min(keys_.size(), left);
    std::partial_sort(keys_.begin(), keys_.begin() + static_cast<std::ptrdiff_t>(best), keys_.end());
    for (std::size_t i = 0; i < best; ++i, --tries) {
      const auto id = keys_[i].second;
      if (ready(id)) return id;
    }
    if (tries == 0) break;
  }
  return std::nullopt;
}

std::optional<std::uint64_t> WaitOrder::next(TimePoint now, const WaitRule& rule,
                                             const std::function<bool(std::uint64_t)>& ready) {
  std::size_t tries = kMostTried;
  for (auto index = kPriorities; index-- > 1;) {  // who is owed a turn
    auto& of = classes_[index];
    if (of.count == 0 || of.credit < 1) continue;
    if (const auto found = next_of(of, now, rule, tries, ready)) return found;
  }
  for (auto& of : classes_) {
    if (of.count == 0) continue;
    if (const auto found = next_of(of, now, rule, tries, ready)) return found;
  }
  return std::nullopt;
}

}  // namespace svc::router
