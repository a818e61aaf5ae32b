// Who has which blocks of prompts in its cache, as far as the router can know: what it sent there, less what has been
// pushed out since. Each lane (an instance's incarnation) has the capacity of its engine's own cache and forgets what was
// used longest ago. Not thread-safe; pure.
//
// An open-addressing table from block hash to holders, linearly probed. Its entries are in the order of their tags (a hash
// of the hash), so that a search ends at the first greater one, be the table rather full. Most blocks have one or two
// holders, kept in the entry; further ones are in a chain of nodes. Each lane has a queue of its uses in
// order of time; a use that is not the last one of its block is skipped when the queue gets there.
//
// What was sent counts at once, so that a burst of prompts with one beginning goes to one lane. It is proven when the lane
// takes one of them; what only refused ones had is taken back.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "router/core/prefix/huge_pages.hpp"
#include "router/core/prefix/prompt_shape.hpp"
#include "router/core/prefix/use_queue.hpp"

namespace svc::router {

/// Dense number of an instance's incarnation (UpstreamLive::slot).
using Lane = std::uint32_t;

class PrefixIndex {
 public:
  static constexpr std::size_t kMaxLanes = 65'535;

  /// `max_bytes`: of memory, in all; capacities are cut so that it is kept.
  explicit PrefixIndex(std::size_t max_bytes) : max_bytes_(max_bytes) {}

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

  /// How long it is that the lane used what it would forget first for so many units more, in insertions into all lanes.
  /// nullopt: it has room for them.
  [[nodiscard]] std::optional<std::uint64_t> age_of_oldest(Lane lane, std::uint64_t units) const;

  [[nodiscard]] std::size_t bytes() const;
  [[nodiscard]] std::size_t entries() const { return used_; }
  [[nodiscard]] std::uint64_t held_units(Lane lane) const { return lane < lanes_.size() ? lanes_[lane].units : 0; }
  [[nodiscard]] std::size_t held_blocks(Lane lane) const { return lane < lanes_.size() ? lanes_[lane].blocks : 0; }

 private:
  // Lane in the upper 16 bits (plus 1); 6 bits for how many insertions have a stake in it, 0 when it is proven; time of use
  // in the lower 42: 14 years at 10,000 requests a second. 0 = nobody
  using Stamp = std::uint64_t;
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
  using Table = std::vector<Entry, HugePages<Entry>>;
  struct LaneState {
    UseQueue uses;
    std::uint64_t capacity = 0;  // as set; 0 = no such lane
    std::uint64_t units = 0;
    std::size_t blocks = 0;
    std::uint64_t floor = 0;  // uses up to this time are forgotten
  };
  struct Garbage {
    Lane lane;
    std::uint64_t floor;
    UseQueue uses;
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

  /// What uses know blocks by. Two blocks that a lane used at the same time can share one only by a chance of 2^-32, and
  /// then each goes in the other's place.
  static std::uint32_t tag_of(std::uint64_t hash) {
    return static_cast<std::uint32_t>((hash * 0x9e3779b97f4a7c15ULL) >> 32U);
  }
  [[nodiscard]] std::size_t home(std::uint32_t tag) const { return (tag * places_) >> 32U; }
  void prefetch(std::uint32_t tag) const {
    __builtin_prefetch(&table_[home(tag)], 1);
    // Else g++ 12 takes a function that only prefetches for one without effect, and leaves out its calls.
    asm volatile("");
  }
  /// The first entry at or behind the tag's home that is free or has no smaller tag.
  [[nodiscard]] std::size_t first_of(std::uint32_t tag) const {
    std::size_t at = home(tag);
    while (table_[at].hash != 0 && tag_of(table_[at].hash) < tag) ++at;
    return at;
  }
  [[nodiscard]] Entry* find(std::uint64_t hash);
  /// There is room.
  Entry& find_or_add(std::uint64_t hash, std::uint32_t units);
  void erase(Entry& entry);
  /// A table of so many places, and no more nodes than are needed.
  void rebuild(std::size_t places);
  [[nodiscard]] static std::size_t places_needed(std::size_t entries);
  /// Of a table for so many entries: what there is if that is enough; 0 when it does not fit in beside the rest.
  [[nodiscard]] std::size_t places_for(std::size_t entries, std::size_t beside) const;
  /// With so many blocks more, each of which may need a node.
  [[nodiscard]] std::size_t bytes_beside_table(std::size_t blocks) const;
  /// Blocks have gone, or others hold them than before: half of what there is would do, for so many more as well.
  [[nodiscard]] bool is_mostly_empty(std::size_t blocks) const;
  /// Every valid holder of the entry, those of later nodes too.
  template <class Visit>
  void each_holder(const Entry& entry, Visit visit) const;
  /// True: there is a stake in it.
  bool use(Lane lane, Entry& entry, bool is_proven);
  struct Held {
    std::uint64_t before = 0;  ///< the time of its last use; 0 = it did not hold it
    bool staked = false;
  };
  Held set_holder(Entry& entry, Lane lane, std::uint64_t time, bool is_proven);
  void settle_block(Lane lane, Entry* entry, bool computed);
  /// What seen_ says is of this prompt.
  [[nodiscard]] bool has_seen(const PromptShape& prompt) const;
  [[nodiscard]] Entry* look_again(std::uint32_t place, std::uint64_t hash);
  struct Found {
    Entry* entry = nullptr;
    Stamp* holder = nullptr;
  };
  /// Where that is the lane's last use of the block; nothing otherwise.
  [[nodiscard]] Found find_use(Lane lane, const UseQueue::Use& use);
  /// Of a use that has come to the front. True: it was the last one of its block, and the lane no longer holds it.
  bool drop_use(Lane lane, const UseQueue::Use& use, std::uint32_t& units);
  /// The same of the oldest use of the lane, which is there; or of all of its time, when these are spent. Returns how many.
  std::size_t forget_oldest(LaneState& state, Lane lane);
  void free_nodes(Entry& entry);
  /// Nothing that came again since, or is gone, stands before the oldest that the lane has.
  void drop_spent(LaneState& state);
  void shrink(LaneState& state, Lane lane);
  /// For `blocks` more.
  void make_room(std::size_t blocks);
  [[nodiscard]] bool has_room(std::size_t blocks) const;
  void compact(LaneState& state, Lane lane);
  void collect(std::size_t most);
  [[nodiscard]] bool advance(Stamp holder, std::uint32_t from, std::uint32_t to, std::uint64_t units);

  Table table_;  // `places_` homes, and some entries more; the last one is always free
  std::size_t places_ = 0;
  std::deque<Node> nodes_;
  std::uint32_t free_node_ = kNone;
  std::size_t used_ = 0;
  std::size_t max_bytes_;
  std::size_t node_count_ = 0, use_bytes_ = 0;
  std::vector<LaneState> lanes_;
  std::deque<Garbage> garbage_;
  std::uint64_t time_ = 0;
  std::uint64_t match_ = 0;
  std::vector<Reach> reach_;
  // Where match() or insert() last found the first blocks of a prompt, the last of them with seen_hash_. Entries move:
  // what is there now decides.
  std::vector<std::uint32_t> seen_;
  std::uint64_t seen_hash_ = 0;
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
