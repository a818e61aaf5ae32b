#include "router/core/prefix/prefix_index.hpp"

#include <algorithm>
#include <utility>

namespace svc::router {
namespace {

constexpr std::size_t kAhead = 8;             // entries asked of memory before they are needed
constexpr std::size_t kCollectedAtOnce = 64;  // forgotten uses that an insertion clears away
// Of one prompt: an entry where the table is emptiest, a node and a use of each block. A prompt may have a quarter of all.
constexpr std::size_t kMostBytesPerBlock = 160;

}  // namespace

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
  seen_.clear();
  if (table_.empty()) return;
  if (const auto* key = prompt.key_hash != 0 ? find(prompt.key_hash) : nullptr; key != nullptr) {
    each_holder(*key, [&](Stamp holder) { reach_[lane_of(holder)].keyed = match_; });
  }
  std::uint32_t furthest = 0;
  const auto count = static_cast<std::uint32_t>(prompt.blocks.size());
  const auto fetch = [&](std::size_t block) {
    if (block < count) prefetch(tag_of(prompt.blocks[block].hash));
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
    const auto* entry = find(block.hash);
    seen_.push_back(entry == nullptr ? kNone : static_cast<std::uint32_t>(entry - table_.data()));
    if (entry != nullptr) {
      each_holder(*entry, [&](Stamp holder) {
        if (advance(holder, at, at + 1, block.end)) furthest = std::max(furthest, at + 1);
      });
    }
  }
  if (!seen_.empty()) seen_hash_ = prompt.blocks[seen_.size() - 1].hash;
}

bool PrefixIndex::has_seen(const PromptShape& prompt) const {
  return !seen_.empty() && seen_.size() <= prompt.blocks.size() && prompt.blocks[seen_.size() - 1].hash == seen_hash_;
}

PrefixIndex::Entry* PrefixIndex::look_again(std::uint32_t place, std::uint64_t hash) {
  return place < table_.size() && table_[place].hash == hash ? &table_[place] : find(hash);
}

bool PrefixIndex::use(Lane lane, Entry& entry, bool is_proven) {
  auto& state = lanes_[lane];
  const Held held = set_holder(entry, lane, time_, is_proven);
  if (held.before == 0) {
    state.units += entry.units;
    ++state.blocks;
  } else {
    state.uses.spend(held.before);
  }
  use_bytes_ += state.uses.push({tag_of(entry.hash), time_});
  return held.staked;
}

PrefixIndex::Stake PrefixIndex::insert(Lane lane, const PromptShape& prompt) {
  Stake stake;
  if (lane >= lanes_.size() || lanes_[lane].capacity == 0) return stake;
  auto& state = lanes_[lane];
  // A prompt beyond the capacity: the engine keeps its beginning, as the end goes first.
  std::size_t count = std::min(prompt.blocks.size(), max_bytes_ / kMostBytesPerBlock / 4);
  while (count > 0 && prompt.blocks[count - 1].end > state.capacity) --count;
  make_room(count + 1);
  ++time_;
  if (!has_seen(prompt)) seen_.clear();
  seen_.resize(count, kNone);
  if (prompt.key_hash != 0) stake.key = use(lane, find_or_add(prompt.key_hash, 0), false);
  stake.from = stake.to = static_cast<std::uint32_t>(count);
  for (std::size_t at = count; at-- > 0;) {
    if (at >= kAhead) prefetch(tag_of(prompt.blocks[at - kAhead].hash));
    const auto& block = prompt.blocks[at];
    auto* entry = seen_[at] == kNone ? nullptr : look_again(seen_[at], block.hash);
    if (entry == nullptr) {
      entry = &find_or_add(block.hash, block.end - (at == 0 ? 0 : prompt.blocks[at - 1].end));
      seen_[at] = static_cast<std::uint32_t>(entry - table_.data());
    }
    if (use(lane, *entry, false)) stake.from = static_cast<std::uint32_t>(at);
  }
  if (count > 0) seen_hash_ = prompt.blocks[count - 1].hash;
  shrink(state, lane);
  compact(state, lane);
  collect(kCollectedAtOnce + 2 * count);
  return stake;
}

void PrefixIndex::settle(Lane lane, const PromptShape& prompt, const Stake& stake, bool computed) {
  if (lane >= lanes_.size() || table_.empty()) return;
  if (stake.key) settle_block(lane, find(prompt.key_hash), computed);
  const bool seen = has_seen(prompt);
  const std::size_t to = std::min<std::size_t>(stake.to, prompt.blocks.size());
  const auto fetch = [&](std::size_t at) {
    if (at < to && !seen) prefetch(tag_of(prompt.blocks[at].hash));
  };
  for (std::size_t at = stake.from; at < stake.from + kAhead; ++at) fetch(at);
  for (std::size_t at = stake.from; at < to; ++at) {
    fetch(at + kAhead);
    settle_block(lane, look_again(seen && at < seen_.size() ? seen_[at] : kNone, prompt.blocks[at].hash), computed);
  }
  if (!computed) drop_spent(lanes_[lane]);
}

void PrefixIndex::insert_answer(Lane lane, std::uint64_t prompt_hash, std::uint32_t units) {
  if (lane >= lanes_.size() || lanes_[lane].capacity == 0 || prompt_hash == 0) return;
  make_room(1);
  ++time_;
  use(lane, find_or_add(answer_marker(prompt_hash), units), true);
  shrink(lanes_[lane], lane);
}

std::size_t PrefixIndex::forget_oldest(LaneState& state, Lane lane) {
  const std::size_t before = state.uses.size();
  if (state.uses.front_is_spent()) {
    use_bytes_ -= state.uses.pop_time();
    return before - state.uses.size();
  }
  const auto oldest = state.uses.front();
  if (std::uint32_t units = 0; drop_use(lane, oldest, units)) {
    state.uses.spend(oldest.time);
    state.units -= units;
    --state.blocks;
  }
  use_bytes_ -= state.uses.pop_front();
  return 1;
}

void PrefixIndex::shrink(LaneState& state, Lane lane) {
  const auto fetch = [&](std::size_t ahead) {
    if (ahead < state.uses.size()) prefetch(state.uses.tag(ahead));
  };
  std::size_t fetched = 0;  // from the front on
  while (!state.uses.empty() && state.units > state.capacity) {
    for (; fetched <= kAhead; ++fetched) fetch(fetched);
    const std::size_t gone = forget_oldest(state, lane);
    fetched -= std::min(fetched, gone);
  }
  drop_spent(state);
}

void PrefixIndex::drop_spent(LaneState& state) {
  while (!state.uses.empty() && state.uses.front_is_spent()) use_bytes_ -= state.uses.pop_time();
}

/// For all of them together: what was used longest ago goes, whoever has it. Some at once, since it takes a look at every
/// lane to know whose that is.
void PrefixIndex::make_room(std::size_t blocks) {
  const auto has_room = [&](std::size_t more) { return places_for(used_ + more, bytes_beside_table(more)) != 0; };
  if (!has_room(blocks)) {
    const std::size_t some = blocks + used_ / 32;
    collect(~std::size_t{0});
    while (!has_room(some)) {
      if (is_mostly_empty(some)) {
        rebuild(0);
        continue;
      }
      Lane victim = 0;
      std::uint64_t oldest = ~0ULL;
      for (Lane other = 0; other < lanes_.size(); ++other) {
        if (!lanes_[other].uses.empty() && lanes_[other].uses.front().time < oldest) {
          oldest = lanes_[other].uses.front().time;
          victim = other;
        }
      }
      auto& from = lanes_[victim];
      if (from.uses.empty()) break;
      while (!from.uses.empty() && from.uses.front().time == oldest) forget_oldest(from, victim);
      drop_spent(from);
    }
  }
  if (const auto needed = places_needed(used_ + blocks); needed > places_) {
    rebuild(std::max(needed, places_for(used_ + blocks, bytes_beside_table(blocks))));
  }
}

/// Prompts that come again and again leave uses that are spent.
void PrefixIndex::compact(LaneState& state, Lane lane) {
  auto& uses = state.uses;
  if (uses.size() <= 2 * state.blocks + 1024) return;
  UseQueue last;
  while (!uses.empty()) {
    if (uses.front_is_spent()) {
      use_bytes_ -= uses.pop_time();
    } else if (uses.front_is_whole()) {
      uses.move_time(last);
    } else {
      if (kAhead < uses.size()) prefetch(uses.tag(kAhead));
      const auto use = uses.front();
      if (find_use(lane, use).holder != nullptr) {
        uses.spend(use.time);
        use_bytes_ += last.push(use);
      }
      use_bytes_ -= uses.pop_front();
    }
  }
  uses = std::move(last);
}

void PrefixIndex::collect(std::size_t most) {
  while (most > 0 && !garbage_.empty()) {
    auto& heap = garbage_.front();
    for (; most > 0 && !heap.uses.empty(); --most) {
      std::uint32_t units = 0;
      drop_use(heap.lane, heap.uses.front(), units);
      use_bytes_ -= heap.uses.pop_front();
    }
    if (heap.uses.empty()) garbage_.pop_front();
  }
}

std::optional<std::uint64_t> PrefixIndex::age_of_oldest(Lane lane, std::uint64_t units) const {
  if (lane >= lanes_.size()) return std::nullopt;
  const auto& state = lanes_[lane];
  if (state.blocks == 0 || state.units + units <= state.capacity) return std::nullopt;
  return time_ - state.uses.front().time;
}

std::size_t PrefixIndex::bytes() const { return table_.size() * sizeof(Entry) + bytes_beside_table(0); }

}  // namespace svc::router
