#include "router/core/prefix/prefix_index.hpp"

#include <algorithm>
#include <bit>
#include <utility>

namespace svc::router {
namespace {

constexpr std::size_t kFirstCapacity = 1024;
constexpr double kMostLoad = 0.75;
constexpr std::size_t kAhead = 8;             // entries asked of memory before they are needed
constexpr std::size_t kCollectedAtOnce = 64;  // forgotten uses that an insertion clears away
constexpr std::size_t kBytesPerUse = 16;

}  // namespace

PrefixIndex::PrefixIndex(std::size_t max_bytes) {
  // Per place of the table: the entry, and at the highest load its uses, some of them stale.
  constexpr auto kBytesPerPlace = sizeof(Entry) + static_cast<std::size_t>(kMostLoad * 1.5 * kBytesPerUse);
  const std::size_t places = std::max(kFirstCapacity, std::bit_floor(max_bytes / kBytesPerPlace));
  max_entries_ = static_cast<std::size_t>(static_cast<double>(places) * kMostLoad) - 1;
}

void PrefixIndex::set_capacity(Lane lane, std::uint64_t units) {
  if (lane >= kMaxLanes) return;
  if (lane >= lanes_.size()) {
    lanes_.resize(lane + 1);
    reach_.resize(lane + 1);
  }
  lanes_[lane].capacity = units;
  shrink(lanes_[lane], lane);
}

void PrefixIndex::clear(Lane lane) {
  if (lane >= lanes_.size()) return;
  auto& state = lanes_[lane];
  state.floor = time_;
  if (!state.uses.empty()) garbage_.push_back({lane, time_, std::move(state.uses)});
  state.uses = {};
  state.units = state.blocks = 0;
}

void PrefixIndex::remove(Lane lane) {
  clear(lane);
  if (lane < lanes_.size()) lanes_[lane].capacity = 0;
}

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
  }
}

template <class Visit>
void PrefixIndex::each_holder(const Entry& entry, Visit visit) const {
  const auto valid = [&](Stamp holder) { return holder != 0 && time_of(holder) > lanes_[lane_of(holder)].floor; };
  for (const auto holder : entry.holders) {
    if (valid(holder)) visit(holder);
  }
  for (auto node = entry.more; node != kNone; node = nodes_[node].next) {
    for (const auto holder : nodes_[node].holders) {
      if (valid(holder)) visit(holder);
    }
  }
}

bool PrefixIndex::advance(Stamp holder, std::uint32_t from, std::uint32_t to, std::uint64_t units) {
  auto& reach = reach_[lane_of(holder)];
  if (reach.match != match_) {
    reach.match = match_;
    reach.units = reach.blocks = 0;
  }
  if (reach.blocks != from) return false;
  reach.blocks = to;
  reach.units = units;
  return true;
}

void PrefixIndex::match(const PromptShape& prompt) {
  ++match_;
  if (table_.empty()) return;
  if (const auto* key = prompt.key_hash != 0 ? find(prompt.key_hash) : nullptr; key != nullptr) {
    each_holder(*key, [&](Stamp holder) { reach_[lane_of(holder)].keyed = match_; });
  }
  std::uint32_t furthest = 0;
  const auto count = static_cast<std::uint32_t>(prompt.blocks.size());
  const auto fetch = [&](std::size_t block) {
    if (block < count) __builtin_prefetch(&table_[home(prompt.blocks[block].hash)]);
  };
  for (std::size_t block = 0; block < kAhead; ++block) fetch(block);
  for (std::uint32_t at = 0; at < count && furthest >= at; ++at) {
    fetch(at + kAhead);
    const auto& block = prompt.blocks[at];
    if (block.answer_blocks > 0 && at > 0) {
      if (const auto* marker = find(answer_marker(prompt.blocks[at - 1].hash)); marker != nullptr) {
        const auto to = at + block.answer_blocks;
        each_holder(*marker, [&](Stamp holder) {
          if (advance(holder, at, to, prompt.blocks[to - 1].end)) furthest = std::max(furthest, to);
        });
      }
    }
    if (const auto* entry = find(block.hash); entry != nullptr) {
      each_holder(*entry, [&](Stamp holder) {
        if (advance(holder, at, at + 1, block.end)) furthest = std::max(furthest, at + 1);
      });
    }
  }
}

bool PrefixIndex::set_holder(Entry& entry, Lane lane, std::uint64_t time) {
  Stamp* room = nullptr;
  const auto look = [&](Stamp& holder) {
    if (holder == 0 || time_of(holder) <= lanes_[lane_of(holder)].floor) {
      if (room == nullptr) room = &holder;
      return false;
    }
    if (lane_of(holder) != lane) return false;
    holder = stamp(lane, time);
    return true;
  };
  for (auto& holder : entry.holders) {
    if (look(holder)) return false;
  }
  std::uint32_t* link = &entry.more;
  for (; *link != kNone; link = &nodes_[*link].next) {
    for (auto& holder : nodes_[*link].holders) {
      if (look(holder)) return false;
    }
  }
  if (room == nullptr) {
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
  *room = stamp(lane, time);
  return true;
}

void PrefixIndex::use(Lane lane, std::uint64_t hash, std::uint32_t units) {
  auto& state = lanes_[lane];
  auto& entry = find_or_add(hash, units);
  if (set_holder(entry, lane, time_)) {
    state.units += entry.units;
    ++state.blocks;
  }
  state.uses.push_back({hash, time_});
}

void PrefixIndex::insert(Lane lane, const PromptShape& prompt) {
  if (lane >= lanes_.size() || lanes_[lane].capacity == 0) return;
  auto& state = lanes_[lane];
  ++time_;
  if (prompt.key_hash != 0) use(lane, prompt.key_hash, 0);
  // A prompt beyond the capacity: the engine keeps its beginning, as the end goes first.
  std::size_t count = prompt.blocks.size();
  while (count > 0 && prompt.blocks[count - 1].end > state.capacity) --count;
  for (std::size_t at = count; at-- > 0;) {
    if (at >= kAhead && !table_.empty()) __builtin_prefetch(&table_[home(prompt.blocks[at - kAhead].hash)], 1);
    const auto& block = prompt.blocks[at];
    use(lane, block.hash, block.end - (at == 0 ? 0 : prompt.blocks[at - 1].end));
  }
  shrink(state, lane);
  make_room();
  compact(state, lane);
  collect(kCollectedAtOnce + 2 * count);
}

void PrefixIndex::insert_answer(Lane lane, std::uint64_t prompt_hash, std::uint32_t units) {
  if (lane >= lanes_.size() || lanes_[lane].capacity == 0 || prompt_hash == 0) return;
  ++time_;
  use(lane, answer_marker(prompt_hash), units);
  shrink(lanes_[lane], lane);
  make_room();
}

bool PrefixIndex::drop_use(Lane lane, const Use& use, std::uint32_t& units) {
  auto* entry = find(use.hash);
  if (entry == nullptr) return false;
  const Stamp wanted = stamp(lane, use.time);
  bool dropped = false;
  bool others = false;
  const auto look = [&](Stamp& holder) {
    if (holder == wanted) {
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

void PrefixIndex::shrink(LaneState& state, Lane lane) {
  while (!state.uses.empty() && state.units > state.capacity) {
    const Use oldest = state.uses.front();
    state.uses.pop_front();
    if (std::uint32_t units = 0; drop_use(lane, oldest, units)) {
      state.units -= units;
      --state.blocks;
    }
  }
}

/// For all of them together: what was used longest ago goes, whoever has it. Some at once, since it takes a look at every
/// lane to know whose that is.
void PrefixIndex::make_room() {
  if (used_ < max_entries_) return;
  const std::size_t target = max_entries_ - max_entries_ / 32;
  collect(used_);
  while (used_ > target) {
    Lane victim = 0;
    std::uint64_t oldest = ~0ULL;
    for (Lane other = 0; other < lanes_.size(); ++other) {
      if (!lanes_[other].uses.empty() && lanes_[other].uses.front().time < oldest) {
        oldest = lanes_[other].uses.front().time;
        victim = other;
      }
    }
    auto& from = lanes_[victim];
    if (from.uses.empty()) return;
    while (!from.uses.empty() && from.uses.front().time == oldest) {
      const Use use = from.uses.front();
      from.uses.pop_front();
      if (std::uint32_t units = 0; drop_use(victim, use, units)) {
        from.units -= units;
        --from.blocks;
      }
    }
  }
}

/// Prompts that come again and again leave uses that are not the last ones of their blocks.
void PrefixIndex::compact(LaneState& state, Lane lane) {
  if (state.uses.size() <= 2 * state.blocks + 1024) return;
  std::deque<Use> last;
  for (const auto& use : state.uses) {
    const auto* entry = find(use.hash);
    if (entry == nullptr) continue;
    bool is_last = false;
    each_holder(*entry, [&](Stamp holder) { is_last |= holder == stamp(lane, use.time); });
    if (is_last) last.push_back(use);
  }
  state.uses = std::move(last);
}

void PrefixIndex::collect(std::size_t most) {
  while (most > 0 && !garbage_.empty()) {
    auto& heap = garbage_.front();
    for (; most > 0 && !heap.uses.empty(); --most) {
      std::uint32_t units = 0;
      drop_use(heap.lane, heap.uses.front(), units);
      heap.uses.pop_front();
    }
    if (heap.uses.empty()) garbage_.pop_front();
  }
}

std::size_t PrefixIndex::bytes() const {
  std::size_t uses = 0;
  for (const auto& state : lanes_) uses += state.uses.size();
  for (const auto& heap : garbage_) uses += heap.uses.size();
  return table_.capacity() * sizeof(Entry) + nodes_.capacity() * sizeof(Node) + uses * kBytesPerUse +
         lanes_.capacity() * sizeof(LaneState) + reach_.capacity() * sizeof(Reach);
}

}  // namespace svc::router
