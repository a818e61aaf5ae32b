// The table of PrefixIndex: entries by hash, and who holds each.
#include <algorithm>
#include <bit>
#include <utility>

#include "router/core/prefix/prefix_index.hpp"

namespace svc::router {

PrefixIndex::Entry* PrefixIndex::find(std::uint64_t hash) {
  if (table_.empty()) return nullptr;
  const std::size_t mask = table_.size() - 1;
  for (std::size_t at = home(hash);; at = (at + 1) & mask) {
    auto& entry = table_[at];
    if (entry.hash == hash) return &entry;
    if (entry.hash == 0) return nullptr;
  }
}

PrefixIndex::Entry& PrefixIndex::find_or_add(std::uint64_t hash, std::uint32_t units) {
  if (static_cast<double>(used_ + 1) > static_cast<double>(table_.size()) * kMostLoad) grow();
  const std::size_t mask = table_.size() - 1;
  std::size_t at = home(hash);
  while (table_[at].hash != 0 && table_[at].hash != hash) at = (at + 1) & mask;
  auto& entry = table_[at];
  if (entry.hash == 0) {
    entry = Entry{};
    entry.hash = hash;
    entry.units = units;
    ++used_;
  }
  return entry;
}

void PrefixIndex::grow() {
  std::vector<Entry> old = std::exchange(table_, std::vector<Entry>(std::max(kFirstCapacity, table_.size() * 2)));
  shift_ = 64 - std::countr_zero(table_.size());
  const std::size_t mask = table_.size() - 1;
  for (const auto& entry : old) {
    if (entry.hash == 0) continue;
    std::size_t at = home(entry.hash);
    while (table_[at].hash != 0) at = (at + 1) & mask;
    table_[at] = entry;
  }
}

/// Closes the gap, so that no marks of removed entries are needed.
void PrefixIndex::erase(Entry& entry) {
  free_nodes(entry);
  --used_;
  const std::size_t mask = table_.size() - 1;
  auto gap = static_cast<std::size_t>(&entry - table_.data());
  for (std::size_t at = (gap + 1) & mask; table_[at].hash != 0; at = (at + 1) & mask) {
    if (((at - home(table_[at].hash)) & mask) >= ((at - gap) & mask)) {
      table_[gap] = table_[at];
      gap = at;
    }
  }
  table_[gap].hash = 0;
}

void PrefixIndex::free_nodes(Entry& entry) {
  while (entry.more != kNone) {
    const auto node = entry.more;
    entry.more = nodes_[node].next;
    nodes_[node] = Node{};
    nodes_[node].next = free_node_;
    free_node_ = node;
    --node_count_;
  }
}

PrefixIndex::Held PrefixIndex::set_holder(Entry& entry, Lane lane, std::uint64_t time, bool is_proven) {
  Stamp* room = nullptr;
  std::uint64_t stakes = is_proven ? 0 : 1;
  const auto look = [&](Stamp& holder) {
    if (holder == 0 || time_of(holder) <= lanes_[lane_of(holder)].floor) {
      if (room == nullptr) room = &holder;
      return false;
    }
    if (lane_of(holder) != lane) return false;
    const auto before = stakes_of(holder);
    stakes = before == 0 || is_proven ? 0 : std::min(before + 1, kMostStakes);
    holder = stamp(lane, time) | stakes * kStake;
    return true;
  };
  for (auto& holder : entry.holders) {
    if (look(holder)) return {true, stakes > 0};
  }
  std::uint32_t* link = &entry.more;
  for (; *link != kNone; link = &nodes_[*link].next) {
    for (auto& holder : nodes_[*link].holders) {
      if (look(holder)) return {true, stakes > 0};
    }
  }
  if (room == nullptr) {
    ++node_count_;
    std::uint32_t node = free_node_;
    if (node != kNone) {
      free_node_ = nodes_[node].next;
      nodes_[node].next = kNone;
      *link = node;
    } else {
      node = static_cast<std::uint32_t>(nodes_.size());
      *link = node;  // before the nodes move
      nodes_.emplace_back();
    }
    room = &nodes_[node].holders[0];
  }
  *room = stamp(lane, time) | stakes * kStake;
  return {false, stakes > 0};
}

void PrefixIndex::settle_block(Lane lane, std::uint64_t hash, bool computed) {
  auto* entry = find(hash);
  if (entry == nullptr) return;
  bool dropped = false;
  bool others = false;
  const auto look = [&](Stamp& holder) {
    if (holder == 0) return;
    const bool is_its = lane_of(holder) == lane && time_of(holder) > lanes_[lane].floor && stakes_of(holder) > 0;
    if (is_its && computed) holder = proven(holder);
    if (is_its && !computed) {
      holder -= kStake;
      dropped = stakes_of(holder) == 0;
      if (dropped) holder = 0;
    }
    others |= holder != 0;
  };
  for (auto& holder : entry->holders) look(holder);
  for (auto node = entry->more; node != kNone; node = nodes_[node].next) {
    for (auto& holder : nodes_[node].holders) look(holder);
  }
  if (!dropped) return;
  lanes_[lane].units -= entry->units;
  --lanes_[lane].blocks;
  if (!others) erase(*entry);
}

bool PrefixIndex::drop_use(Lane lane, const Use& use, std::uint32_t& units) {
  auto* entry = find(use.hash);
  if (entry == nullptr) return false;
  const Stamp wanted = stamp(lane, use.time);
  bool dropped = false;
  bool others = false;
  const auto look = [&](Stamp& holder) {
    if (proven(holder) == wanted) {
      holder = 0;
      dropped = true;
    } else if (holder != 0) {
      others = true;  // or a forgotten one, which its own garbage clears away
    }
  };
  for (auto& holder : entry->holders) look(holder);
  for (auto node = entry->more; node != kNone; node = nodes_[node].next) {
    for (auto& holder : nodes_[node].holders) look(holder);
  }
  units = entry->units;
  if (dropped && !others) erase(*entry);
  return dropped;
}

}  // namespace svc::router
