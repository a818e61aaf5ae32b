// The table of PrefixIndex: entries by hash, and who holds each.
#include <algorithm>
#include <utility>

#include "router/core/prefix/prefix_index.hpp"

namespace svc::router {
namespace {

constexpr double kMostLoad = 0.64;
constexpr std::size_t kFirstPlaces = 1024;
// Behind the last home, for a start: that entries pile up further is next to impossible, unless somebody wants them to.
constexpr std::size_t kMostSpare = 512;

constexpr std::size_t spare_of(std::size_t places) { return std::min(kMostSpare, places / 8); }

}  // namespace

PrefixIndex::Entry* PrefixIndex::find(std::uint64_t hash) {
  if (table_.empty()) return nullptr;
  const auto tag = tag_of(hash);
  for (std::size_t at = first_of(tag);; ++at) {
    auto& entry = table_[at];
    if (entry.hash == hash) return &entry;
    if (entry.hash == 0 || tag_of(entry.hash) != tag) return nullptr;
  }
}

PrefixIndex::Entry& PrefixIndex::find_or_add(std::uint64_t hash, std::uint32_t units) {
  const auto tag = tag_of(hash);
  std::size_t at = first_of(tag);
  for (; table_[at].hash != 0 && tag_of(table_[at].hash) == tag; ++at) {
    if (table_[at].hash == hash) return table_[at];
  }
  std::size_t free = at;
  while (table_[free].hash != 0) ++free;
  if (free + 1 == table_.size()) table_.resize(table_.size() + spare_of(places_));
  for (; free > at; --free) table_[free] = table_[free - 1];
  auto& entry = table_[at];
  entry = Entry{};
  entry.hash = hash;
  entry.units = units;
  ++used_;
  return entry;
}

/// As entries are in the same order in tables of any size, old and new one are gone through from end to end.
void PrefixIndex::rebuild(std::size_t places) {
  places = std::max(places, places_needed(used_));
  const Table old = std::exchange(table_, Table(places + spare_of(places)));
  places_ = places;
  std::size_t end = 0;
  for (const auto& entry : old) {
    if (entry.hash == 0) continue;
    end = std::max(end, home(tag_of(entry.hash)));
    if (end + 1 == table_.size()) table_.resize(table_.size() + spare_of(places));
    table_[end++] = entry;
  }

  const std::deque<Node> old_nodes = std::exchange(nodes_, {});
  free_node_ = kNone;
  if (old_nodes.empty()) return;
  for (auto& entry : table_) {
    for (std::uint32_t* link = &entry.more; *link != kNone; link = &nodes_.back().next) {
      nodes_.push_back(old_nodes[*link]);
      *link = static_cast<std::uint32_t>(nodes_.size() - 1);
    }
  }
}

std::size_t PrefixIndex::bytes_beside_table(std::size_t blocks) const {
  const std::size_t uses = use_bytes_ + (blocks > 0 ? blocks * UseQueue::kBytesPerUse + UseQueue::kBytesPerTime : 0);
  return std::max(nodes_.size(), node_count_ + blocks) * sizeof(Node) + uses +
         lanes_.capacity() * (sizeof(LaneState) + UseQueue::kBytesWhenEmpty) + reach_.capacity() * sizeof(Reach);
}

std::size_t PrefixIndex::places_needed(std::size_t entries) {
  return std::max(kFirstPlaces, static_cast<std::size_t>(static_cast<double>(entries) / kMostLoad) + 2);
}

std::size_t PrefixIndex::places_for(std::size_t entries, std::size_t beside) const {
  const std::size_t needed = places_needed(entries);
  const std::size_t room = beside < max_bytes_ ? (max_bytes_ - beside) / sizeof(Entry) : 0;
  const std::size_t most = room - std::min(room, std::max(kMostSpare, table_.size() - places_));
  if (needed <= places_) return places_ <= most ? places_ : 0;
  const std::size_t grown = std::max(needed, places_ + places_ / 4);
  if (grown <= most) return grown;
  // The last steps before the limit are shorter ones, but never so short that they come all the time.
  return needed <= most && most >= places_ + places_ / 16 ? most : 0;
}

bool PrefixIndex::is_mostly_empty(std::size_t blocks) const {
  return places_ > 2 * places_needed(used_ + blocks) || nodes_.size() > 2 * (node_count_ + blocks);
}

/// Closes the gap, so that no marks of removed entries are needed.
void PrefixIndex::erase(Entry& entry) {
  free_nodes(entry);
  --used_;
  auto gap = static_cast<std::size_t>(&entry - table_.data());
  for (; table_[gap + 1].hash != 0 && home(tag_of(table_[gap + 1].hash)) <= gap; ++gap) table_[gap] = table_[gap + 1];
  table_[gap] = Entry{};
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
  std::uint64_t last = 0;
  std::uint64_t stakes = is_proven ? 0 : 1;
  const auto look = [&](Stamp& holder) {
    if (holder == 0 || time_of(holder) <= lanes_[lane_of(holder)].floor) {
      if (room == nullptr) room = &holder;
      return false;
    }
    if (lane_of(holder) != lane) return false;
    last = time_of(holder);
    const auto before = stakes_of(holder);
    stakes = before == 0 || is_proven ? 0 : std::min(before + 1, kMostStakes);
    holder = stamp(lane, time) | stakes * kStake;
    return true;
  };
  for (auto& holder : entry.holders) {
    if (look(holder)) return {last, stakes > 0};
  }
  std::uint32_t* link = &entry.more;
  for (; *link != kNone; link = &nodes_[*link].next) {
    for (auto& holder : nodes_[*link].holders) {
      if (look(holder)) return {last, stakes > 0};
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
      *link = node;
      nodes_.emplace_back();
    }
    room = &nodes_[node].holders[0];
  }
  *room = stamp(lane, time) | stakes * kStake;
  return {0, stakes > 0};
}

void PrefixIndex::settle_block(Lane lane, Entry* entry, bool computed) {
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
      if (dropped) lanes_[lane].uses.spend(time_of(holder));
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

PrefixIndex::Found PrefixIndex::find_use(Lane lane, const UseQueue::Use& use) {
  const Stamp wanted = stamp(lane, use.time);
  for (std::size_t at = first_of(use.tag); table_[at].hash != 0 && tag_of(table_[at].hash) == use.tag; ++at) {
    auto& entry = table_[at];
    for (auto& holder : entry.holders) {
      if (proven(holder) == wanted) return {&entry, &holder};
    }
    for (auto node = entry.more; node != kNone; node = nodes_[node].next) {
      for (auto& holder : nodes_[node].holders) {
        if (proven(holder) == wanted) return {&entry, &holder};
      }
    }
  }
  return {};
}

bool PrefixIndex::drop_use(Lane lane, const UseQueue::Use& use, std::uint32_t& units) {
  const auto found = find_use(lane, use);
  if (found.holder == nullptr) return false;
  *found.holder = 0;
  units = found.entry->units;
  // A forgotten holder counts here: its own garbage clears it away.
  const auto nobody = [](const auto& holders) { return std::ranges::all_of(holders, [](Stamp s) { return s == 0; }); };
  bool free = nobody(found.entry->holders);
  for (auto node = found.entry->more; free && node != kNone; node = nodes_[node].next)
    free = nobody(nodes_[node].holders);
  if (free) erase(*found.entry);
  return true;
}

}  // namespace svc::router
