#include "router/core/wait_order.hpp"

#include <algorithm>

#include "common/core/header_rules.hpp"

namespace svc::router {
namespace {

constexpr double kTurnSeconds = 0.05;  // what a turn costs its key besides its prefill

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

std::pair<double, std::uint64_t> WaitOrder::key_of(const WaitItem& item) const {
  return {item.seconds + aging_ * std::chrono::duration<double>(item.since.time_since_epoch()).count(), item.id};
}

void WaitOrder::age_by(double aging) {
  aging_ = aging;
  for (auto& of : classes_) {
    for (auto& [id, owner] : of.owners) {
      owner.by_key.clear();
      for (const auto& [item_id, item] : owner.items) owner.by_key.insert(key_of(item));
    }
  }
}

void WaitOrder::add(const WaitItem& item) {
  remove(item.id);
  auto& of = classes_[static_cast<std::size_t>(item.priority)];
  auto [found, fresh] = of.owners.try_emplace(item.owner);
  if (fresh) {
    found->second.served = of.clock;
    of.by_served.emplace(of.clock, item.owner);
  }
  found->second.items.emplace(item.id, item);
  found->second.by_key.insert(key_of(item));
  places_.emplace(item.id, Where{item.priority, item.owner});
  ++of.count;
}

void WaitOrder::drop(Class& of, std::uint64_t owner, std::uint64_t id) {
  const auto found = of.owners.find(owner);
  const auto item = found->second.items.find(id);
  found->second.by_key.erase(key_of(item->second));
  found->second.items.erase(item);
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

std::optional<std::uint64_t> WaitOrder::next_of(Class& of, bool shortest_first, std::size_t& tries,
                                                const Ready& ready) {
  const std::size_t each = of.by_served.size() > 1 ? kTriedOfKey : kMostTried;
  const auto first_of = [&](const auto& ids, const auto& id_of) -> std::optional<std::uint64_t> {
    std::size_t left = std::min(each, tries);
    for (auto item = ids.begin(); item != ids.end() && left > 0; ++item, --left, --tries) {
      const auto id = id_of(*item);
      switch (ready(id)) {
        case Place::yes: return id;
        case Place::no: break;
        case Place::nobody: tries = 0; return std::nullopt;
      }
    }
    return std::nullopt;
  };
  for (const auto& [served, owner_id] : of.by_served) {
    const auto& owner = of.owners.find(owner_id)->second;
    const auto found = shortest_first ? first_of(owner.by_key, [](const auto& item) { return item.second; })
                                      : first_of(owner.items, [](const auto& item) { return item.first; });
    if (found || tries == 0) return found;
  }
  return std::nullopt;
}

std::optional<std::uint64_t> WaitOrder::next(const WaitRule& rule, const Ready& ready) {
  if (rule.shortest_first && rule.aging != aging_) age_by(rule.aging);
  std::size_t tries = kMostTried;
  for (auto index = kPriorities; index-- > 1;) {  // who is owed a turn
    auto& of = classes_[index];
    if (of.count == 0 || of.credit < 1) continue;
    if (const auto found = next_of(of, rule.shortest_first, tries, ready)) return found;
  }
  for (auto& of : classes_) {
    if (of.count == 0 || tries == 0) continue;
    if (const auto found = next_of(of, rule.shortest_first, tries, ready)) return found;
  }
  return std::nullopt;
}

}  // namespace svc::router
