// Blocks by id, with users and an LRU order of those that nobody uses: an engine's prefix cache, and what the rules of
// other routers remember of it. Not bounded by itself: its owner evicts.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace svc::routing {

using BlockId = std::uint64_t;
using Blocks = std::span<const BlockId>;  ///< of a prompt, from its begin; each id stands for all up to it

class BlockCache {
 public:
  BlockCache();

  [[nodiscard]] std::size_t size() const { return held_; }
  /// In use by somebody.
  [[nodiscard]] std::size_t used() const { return held_ - idle_; }
  [[nodiscard]] bool holds(BlockId id) const { return find(id) != kNone; }
  /// How many of the first blocks are held.
  [[nodiscard]] std::size_t depth(Blocks blocks) const;
  /// How many of these nobody uses; all must be held.
  [[nodiscard]] std::size_t idle_among(Blocks blocks) const;

  /// One more user, for a block that may be new. False: it was held already.
  bool use(BlockId id);
  /// One user less of a held block; the last one makes it the youngest of the idle.
  void drop(BlockId id);
  /// Forgets the block that was idle for longest. False: none is.
  bool evict();

  /// For an index: all blocks become the youngest, with time `tick`, the end of the prompt being the oldest of them;
  /// then evicts down to `capacity`. Only for a cache without users.
  void touch(Blocks blocks, std::uint64_t tick, std::size_t capacity);
  [[nodiscard]] std::optional<std::uint64_t> touched(BlockId id) const;

 private:
  using Index = std::uint32_t;
  static constexpr Index kNone = ~Index{0};
  struct Slot {
    BlockId id = 0;
    std::uint64_t tick = 0;
    Index users = 0;
    Index older = kNone, newer = kNone;
  };

  [[nodiscard]] std::size_t home(BlockId id) const { return (id * 0x9e3779b97f4a7c15ULL) >> shift_; }
  [[nodiscard]] std::size_t mask() const { return table_.size() - 1; }
  [[nodiscard]] Index find(BlockId id) const;
  Index add(BlockId id);
  void erase(Index index);
  void grow();
  void link(Index index);
  void unlink(Index index);

  std::vector<Slot> slots_;   // [0] is the head of the ring of idle blocks: newer = the oldest, older = the youngest
  std::vector<Index> free_;   // of slots_
  std::vector<Index> table_;  // open addressing, linear probing, at most half full
  int shift_ = 0;
  std::size_t held_ = 0;
  std::size_t idle_ = 0;
};

}  // namespace svc::routing
