#include "bench/routing/block_cache.hpp"

#include <algorithm>
#include <utility>

namespace svc::routing {

BlockCache::BlockCache() : slots_(1), table_(64, kNone), shift_(64 - 6) { slots_[0].older = slots_[0].newer = 0; }

BlockCache::Index BlockCache::find(BlockId id) const {
  for (std::size_t at = home(id);; at = (at + 1) & mask()) {
    const Index index = table_[at];
    if (index == kNone || slots_[index].id == id) return index;
  }
}

std::size_t BlockCache::depth(Blocks blocks) const {
  return static_cast<std::size_t>(std::find_if(blocks.begin(), blocks.end(), [&](BlockId id) { return !holds(id); }) -
                                  blocks.begin());
}

std::size_t BlockCache::idle_among(Blocks blocks) const {
  return static_cast<std::size_t>(
      std::count_if(blocks.begin(), blocks.end(), [&](BlockId id) { return slots_[find(id)].users == 0; }));
}

bool BlockCache::use(BlockId id) {
  const Index found = find(id);
  if (found == kNone) {
    slots_[add(id)].users = 1;
    return true;
  }
  if (slots_[found].users++ == 0) unlink(found);
  return false;
}

void BlockCache::drop(BlockId id) {
  const Index index = find(id);
  if (--slots_[index].users == 0) link(index);
}

bool BlockCache::evict() {
  if (idle_ == 0) return false;
  const Index oldest = slots_[0].newer;
  unlink(oldest);
  erase(oldest);
  return true;
}

void BlockCache::touch(Blocks blocks, std::uint64_t tick, std::size_t capacity) {
  for (std::size_t i = blocks.size(); i > 0; --i) {
    const Index found = find(blocks[i - 1]);
    const Index index = found != kNone ? found : add(blocks[i - 1]);
    if (found != kNone) unlink(index);
    link(index);
    slots_[index].tick = tick;
  }
  while (held_ > capacity) evict();
}

std::optional<std::uint64_t> BlockCache::touched(BlockId id) const {
  const Index index = find(id);
  return index == kNone ? std::nullopt : std::optional(slots_[index].tick);
}

BlockCache::Index BlockCache::add(BlockId id) {
  if ((held_ + 1) * 2 > table_.size()) grow();
  Index index = 0;
  if (free_.empty()) {
    index = static_cast<Index>(slots_.size());
    slots_.emplace_back();
  } else {
    index = free_.back();
    free_.pop_back();
    slots_[index] = Slot{};
  }
  slots_[index].id = id;
  std::size_t at = home(id);
  while (table_[at] != kNone) at = (at + 1) & mask();
  table_[at] = index;
  ++held_;
  return index;
}

/// Of an unlinked block. Those behind the hole move up, so that no search stops at it.
void BlockCache::erase(Index index) {
  std::size_t hole = home(slots_[index].id);
  while (table_[hole] != index) hole = (hole + 1) & mask();
  for (std::size_t at = (hole + 1) & mask(); table_[at] != kNone; at = (at + 1) & mask()) {
    const std::size_t wanted = home(slots_[table_[at]].id);
    if (((at - wanted) & mask()) >= ((at - hole) & mask())) {
      table_[hole] = table_[at];
      hole = at;
    }
  }
  table_[hole] = kNone;
  free_.push_back(index);
  --held_;
}

void BlockCache::grow() {
  const auto before = std::exchange(table_, std::vector<Index>(table_.size() * 2, kNone));
  --shift_;
  for (const Index index : before) {
    if (index == kNone) continue;
    std::size_t at = home(slots_[index].id);
    while (table_[at] != kNone) at = (at + 1) & mask();
    table_[at] = index;
  }
}

void BlockCache::link(Index index) {
  const Index youngest = slots_[0].older;
  slots_[index].older = youngest;
  slots_[index].newer = 0;
  slots_[youngest].newer = index;
  slots_[0].older = index;
  ++idle_;
}

void BlockCache::unlink(Index index) {
  const Slot& slot = slots_[index];
  slots_[slot.older].newer = slot.newer;
  slots_[slot.newer].older = slot.older;
  --idle_;
}

}  // namespace svc::routing
