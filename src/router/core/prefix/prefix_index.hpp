// Who has which blocks of prompts in its cache, as far as the router can know: what it sent there, less what has been
// pushed out since. Each lane (an instance's incarnation) has the capacity of its engine's own cache and forgets what was
// used longest ago. Not thread-safe; pure.
//
// An open-addressing table from block hash to holders. Most blocks have one or two holders, kept in the entry; further
// ones are in a chain of nodes. Each lane has a queue of its uses in order of time; a use that is not the last one of its
// block is skipped when the queue gets there.
//
// What was sent counts at once, so that a burst of prompts with one beginning goes to one lane. It is proven when the lane
// takes one of them; what only refused ones had is taken back.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <vector>

#include "router/core/prefix/prompt_shape.hpp"

namespace svc::router {

/// Dense number of an instance's incarnation (UpstreamLive::slot).
using Lane = std::uint32_t;

class PrefixIndex {
 public:
  static constexpr std::size_t kMaxLanes = 65'535;

  /// `max_bytes`: of memory, in all; capacities are cut so that it is kept.
  explicit PrefixIndex(std::size_t max_bytes);

  /// Begins an empty lane. `units`: of prompts that its cache holds. A lane that is there keeps what it has.
  void set_capacity(Lane lane, std::uint64_t units);
  /// Forgets all that the lane has, in constant time; its memory comes back bit by bit with later insertions.
  void clear(Lane lane);
  /// The same, and nothing is put into it any more.
  void remove(Lane lane);

  /// How far each lane has the beginning of the prompt: calls are paired with matched(). Costs a look-up a block, until
  /// no lane has the next one.
  void match(const PromptShape& prompt);
  /// Of the last match(): units from the beginning that the lane has.
  [[nodiscard]] std::uint64_t matched(Lane lane) const {
    return lane < reach_.size() && reach_[lane].match == match_ ? reach_[lane].units : 0;
  }

  /// Of an insertion: its blocks that nobody has proven yet. Empty: there are none.
  struct Stake {
    std::uint32_t from = 0, to = 0;
    bool key = false;
  };
  /// The lane computes this prompt now: has all of its blocks, used just now. Its end goes first. Pair with settle().
  Stake insert(Lane lane, const PromptShape& prompt);
  /// Whether it did. Of what it did not compute goes what no other insertion has a stake in. Costs a look-up for each block
  /// of the stake.
  void settle(Lane lane, const PromptShape& prompt, const Stake& stake, bool computed);
  /// Of the last match(): it was sent a prompt with the same key_hash, if there is one.
  [[nodiscard]] bool keyed(Lane lane) const { return lane < reach_.size() && reach_[lane].keyed == match_; }

  /// The lane generated `units` after that prompt.
  void insert_answer(Lane lane, std::uint64_t prompt_hash, std::uint32_t units);

  [[nodiscard]] std::size_t bytes() const;
  [[nodiscard]] std::size_t entries() const { return used_; }
  [[nodiscard]] std::uint64_t held_units(Lane lane) const { return lane < lanes_.size() ? lanes_[lane].units : 0; }
  [[nodiscard]] std::size_t held_blocks(Lane lane) const { return lane < lanes_.size() ? lanes_[lane].blocks : 0; }

 private:
  // Lane in the upper 16 bits (plus 1); 6 bits for how many insertions have a stake in it, 0 when it is proven; time of use
  // in the lower 42: 14 years at 10,000 requests a second. 0 = nobody
  using Stamp = std::uint64_t;
  static constexpr double kMostLoad = 0.75;
  static constexpr std::size_t kFirstCapacity = 1024;
  static constexpr std::size_t kInline = 2;
  static constexpr std::size_t kPerNode = 7;
  static constexpr std::uint32_t kNone = 0xFFFF'FFFFU;
  struct alignas(32) Entry {  // two in a line of the processor's cache, and none across two lines
    std::uint64_t hash = 0;   // 0 = free
    Stamp holders[kInline] = {};
    std::uint32_t units = 0;
    std::uint32_t more = kNone;  // first node
  };
  struct Node {
    Stamp holders[kPerNode] = {};
    std::uint32_t next = kNone;
  };
  struct Use {
    std::uint64_t hash;
    std::uint64_t time;
  };
  struct LaneState {
    std::deque<Use> uses;
    std::uint64_t capacity = 0;  // as set; 0 = no such lane
    std::uint64_t units = 0;
    std::size_t blocks = 0;
    std::uint64_t floor = 0;  // uses up to this time are forgotten
  };
  struct Garbage {
    Lane lane;
    std::uint64_t floor;
    std::deque<Use> uses;
  };
  struct Reach {
    std::uint64_t match = 0, keyed = 0;  // the last match() that found anything of its prompt, or its key
    std::uint64_t units = 0;
    std::uint32_t blocks = 0;
  };

  static Stamp stamp(Lane lane, std::uint64_t time) { return (static_cast<Stamp>(lane + 1) << 48U) | time; }
  static Lane lane_of(Stamp s) { return static_cast<Lane>((s >> 48U) - 1); }
  static std::uint64_t time_of(Stamp s) { return s & (kStake - 1); }
  static std::uint64_t stakes_of(Stamp s) { return (s / kStake) & kMostStakes; }
  static Stamp proven(Stamp s) { return s & ~(kMostStakes * kStake); }
  static constexpr Stamp kStake = 1ULL << 42U;
  static constexpr std::uint64_t kMostStakes = 63;

  [[nodiscard]] std::size_t home(std::uint64_t hash) const { return (hash * 0x9e3779b97f4a7c15ULL) >> shift_; }
  [[nodiscard]] Entry* find(std::uint64_t hash);
  Entry& find_or_add(std::uint64_t hash, std::uint32_t units);
  void erase(Entry& entry);
  void grow();
  /// Every valid holder of the entry, those of later nodes too.
  template <class Visit>
  void each_holder(const Entry& entry, Visit visit) const;
  /// True: there is a stake in it.
  bool use(Lane lane, std::uint64_t hash, std::uint32_t units, bool is_proven);
  struct Held {
    bool before = false, staked = false;
  };
  Held set_holder(Entry& entry, Lane lane, std::uint64_t time, bool is_proven);
  void settle_block(Lane lane, std::uint64_t hash, bool computed);
  /// Of a use that has come to the front. True: it was the last one of its block, and the lane no longer holds it.
  bool drop_use(Lane lane, const Use& use, std::uint32_t& units);
  void free_nodes(Entry& entry);
  void shrink(LaneState& state, Lane lane);
  /// For `blocks` more.
  void make_room(std::size_t blocks);
  [[nodiscard]] bool has_room(std::size_t blocks) const;
  void compact(LaneState& state, Lane lane);
  void collect(std::size_t most);
  [[nodiscard]] bool advance(Stamp holder, std::uint32_t from, std::uint32_t to, std::uint64_t units);

  std::vector<Entry> table_;
  std::vector<Node> nodes_;
  std::uint32_t free_node_ = kNone;
  std::size_t used_ = 0;
  int shift_ = 64;
  std::size_t max_entries_;
  std::size_t max_uses_, max_nodes_;  // where many lanes have the same blocks, these are most of the memory
  std::size_t use_count_ = 0, node_count_ = 0;
  std::vector<LaneState> lanes_;
  std::deque<Garbage> garbage_;
  std::uint64_t time_ = 0;
  std::uint64_t match_ = 0;
  std::vector<Reach> reach_;
};

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

}  // namespace svc::router
