#include "router/core/prefix/prefix_index.hpp"

#include <algorithm>
#include <bit>
#include <utility>

namespace svc::router {
namespace {

constexpr std::size_t kAhead = 16;            // entries asked of memory before they are needed
constexpr std::size_t kCollectedAtOnce = 64;  // forgotten uses that an insertion clears away
constexpr std::size_t kBytesPerUse = 16;

}  // namespace

PrefixIndex::PrefixIndex(std::size_t max_bytes) {
  // Per place of the table: the entry, and at the highest load its uses, some of them stale, and a part of a node.
  constexpr auto kBytesPerPlace = sizeof(Entry) + static_cast<std::size_t>(kMostLoad * 1.5 * kBytesPerUse) + 8;
  const std::size_t places = std::max(kFirstCapacity, std::bit_floor(max_bytes / kBytesPerPlace));
  max_entries_ = static_cast<std::size_t>(static_cast<double>(places) * kMostLoad) - 1;
  const std::size_t beside = std::max(max_bytes, places * kBytesPerPlace) - places * sizeof(Entry);
  max_uses_ = beside * 2 / 3 / kBytesPerUse;
  max_nodes_ = beside / 3 / (2 * sizeof(Node));  // a vector grows by doubling
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

bool PrefixIndex::use(Lane lane, std::uint64_t hash, std::uint32_t units, bool is_proven) {
  auto& state = lanes_[lane];
  auto& entry = find_or_add(hash, units);
  const Held held = set_holder(entry, lane, time_, is_proven);
  if (!held.before) {
    state.units += entry.units;
    ++state.blocks;
  }
  state.uses.push_back({hash, time_});
  ++use_count_;
  return held.staked;
}

PrefixIndex::Stake PrefixIndex::insert(Lane lane, const PromptShape& prompt) {
  Stake stake;
  if (lane >= lanes_.size() || lanes_[lane].capacity == 0) return stake;
  auto& state = lanes_[lane];
  // A prompt beyond the capacity: the engine keeps its beginning, as the end goes first.
  std::size_t count = std::min(prompt.blocks.size(), std::min(max_entries_, std::min(max_uses_, max_nodes_)) / 4);
  while (count > 0 && prompt.blocks[count - 1].end > state.capacity) --count;
  make_room(count + 1);
  ++time_;
  if (prompt.key_hash != 0) stake.key = use(lane, prompt.key_hash, 0, false);
  stake.from = stake.to = static_cast<std::uint32_t>(count);
  for (std::size_t at = count; at-- > 0;) {
    if (at >= kAhead && !table_.empty()) __builtin_prefetch(&table_[home(prompt.blocks[at - kAhead].hash)], 1);
    const auto& block = prompt.blocks[at];
    if (use(lane, block.hash, block.end - (at == 0 ? 0 : prompt.blocks[at - 1].end), false)) {
      stake.from = static_cast<std::uint32_t>(at);
    }
  }
  shrink(state, lane);
  compact(state, lane);
  collect(kCollectedAtOnce + 2 * count);
  return stake;
}

void PrefixIndex::settle(Lane lane, const PromptShape& prompt, const Stake& stake, bool computed) {
  if (lane >= lanes_.size() || table_.empty()) return;
  if (stake.key) settle_block(lane, prompt.key_hash, computed);
  const std::size_t to = std::min<std::size_t>(stake.to, prompt.blocks.size());
  const auto fetch = [&](std::size_t at) {
    if (at < to) __builtin_prefetch(&table_[home(prompt.blocks[at].hash)], 1);
  };
  for (std::size_t at = stake.from; at < stake.from + kAhead; ++at) fetch(at);
  for (std::size_t at = stake.from; at < to; ++at) {
    fetch(at + kAhead);
    settle_block(lane, prompt.blocks[at].hash, computed);
  }
}

void PrefixIndex::insert_answer(Lane lane, std::uint64_t prompt_hash, std::uint32_t units) {
  if (lane >= lanes_.size() || lanes_[lane].capacity == 0 || prompt_hash == 0) return;
  make_room(1);
  ++time_;
  use(lane, answer_marker(prompt_hash), units, true);
  shrink(lanes_[lane], lane);
}

void PrefixIndex::shrink(LaneState& state, Lane lane) {
  const auto fetch = [&](std::size_t ahead) {
    if (ahead < state.uses.size()) __builtin_prefetch(&table_[home(state.uses[ahead].hash)], 1);
  };
  for (std::size_t ahead = 1; state.units > state.capacity && ahead < kAhead; ++ahead) fetch(ahead);
  while (!state.uses.empty() && state.units > state.capacity) {
    fetch(kAhead);
    const Use oldest = state.uses.front();
    state.uses.pop_front();
    --use_count_;
    if (std::uint32_t units = 0; drop_use(lane, oldest, units)) {
      state.units -= units;
      --state.blocks;
    }
  }
}

bool PrefixIndex::has_room(std::size_t blocks) const {
  return used_ + blocks <= max_entries_ && use_count_ + blocks <= max_uses_ && node_count_ + blocks <= max_nodes_;
}

/// For all of them together: what was used longest ago goes, whoever has it. Some at once, since it takes a look at every
/// lane to know whose that is.
void PrefixIndex::make_room(std::size_t blocks) {
  if (has_room(blocks)) return;
  blocks += std::min(max_entries_, std::min(max_uses_, max_nodes_)) / 32;
  collect(use_count_);
  while (!has_room(blocks)) {
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
      --use_count_;
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
    each_holder(*entry, [&](Stamp holder) { is_last |= proven(holder) == stamp(lane, use.time); });
    if (is_last) last.push_back(use);
  }
  use_count_ -= state.uses.size() - last.size();
  state.uses = std::move(last);
}

void PrefixIndex::collect(std::size_t most) {
  while (most > 0 && !garbage_.empty()) {
    auto& heap = garbage_.front();
    for (; most > 0 && !heap.uses.empty(); --most) {
      std::uint32_t units = 0;
      drop_use(heap.lane, heap.uses.front(), units);
      heap.uses.pop_front();
      --use_count_;
    }
    if (heap.uses.empty()) garbage_.pop_front();
  }
}

std::size_t PrefixIndex::bytes() const {
  return table_.capacity() * sizeof(Entry) + nodes_.capacity() * sizeof(Node) + use_count_ * kBytesPerUse +
         lanes_.capacity() * sizeof(LaneState) + reach_.capacity() * sizeof(Reach);
}

}  // namespace svc::router
