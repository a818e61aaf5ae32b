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
  if (fresh) found->second.served = of.clock;
  if (found->second.items.empty()) {
    of.departed.erase({found->second.served, item.owner});
    of.by_served.emplace(found->second.served, item.owner);
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
    if (found->second.served > of.clock) {
      of.departed.emplace(found->second.served, owner);
    } else {
      of.owners.erase(found);
    }
  }
  if (of.count == 0) {  // nobody waits whom somebody could come before
    of.credit = 0;
    of.departed.clear();
    of.owners.clear();
  }
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
  auto& owner = of.owners.find(owner_id)->second;
  taken_ = {id, owner.served, {}};
  for (std::size_t i = 0; i < kPriorities; ++i) taken_.credit[i] = classes_[i].credit;
  if (of.credit >= 1) of.credit -= 1;
  for (auto lower = index + 1; lower < kPriorities; ++lower) {
    auto& credit = classes_[lower].credit;
    if (classes_[lower].count > 0) credit = std::min(kMostCredit, credit + kLowerShare);
  }
  of.by_served.erase({owner.served, owner_id});
  of.clock = std::max(of.clock, owner.served);
  owner.served += owner.items.find(id)->second.seconds + kTurnSeconds;
  of.by_served.emplace(owner.served, owner_id);
  drop(of, owner_id, id);
  while (!of.departed.empty() && of.departed.begin()->first <= of.clock) {
    of.owners.erase(of.departed.begin()->second);
    of.departed.erase(of.departed.begin());
  }
  return true;
}

void WaitOrder::put_back(const WaitItem& item) {
  add(item);
  if (std::exchange(taken_.id, 0) != item.id) return;
  for (std::size_t i = 0; i < kPriorities; ++i) {
    if (classes_[i].count > 0) classes_[i].credit = taken_.credit[i];
  }
  auto& of = classes_[static_cast<std::size_t>(item.priority)];
  auto& owner = of.owners.find(item.owner)->second;
  of.by_served.erase({owner.served, item.owner});
  owner.served = taken_.served;
  of.by_served.emplace(owner.served, item.owner);
}

const WaitOrder::Owner* WaitOrder::fullest(const Class& of) {
  const Owner* found = nullptr;
  for (const auto& [id, owner] : of.owners) {
    if (!owner.items.empty() && (found == nullptr || owner.items.size() > found->items.size())) found = &owner;
  }
  return found;
}

std::optional<std::uint64_t> WaitOrder::to_displace(Priority priority, std::uint64_t owner) const {
  const auto index = static_cast<std::size_t>(priority);
  for (auto lower = kPriorities; --lower > index;) {
    const auto& of = classes_[lower];
    if (static_cast<double>(of.count) > kLowerShare * static_cast<double>(size())) {
      return fullest(of)->items.rbegin()->first;
    }
  }
  const auto& of = classes_[index];
  const auto own = of.owners.find(owner);
  const std::size_t mine = own == of.owners.end() ? 0 : own->second.items.size();
  const auto* other = fullest(of);
  if (other == nullptr || other->items.size() < mine + 2) return std::nullopt;
  return other->items.rbegin()->first;
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
