// When a lane used which blocks, oldest first: what the LRU order of PrefixIndex is kept in. Blocks that were used at the
// same time share the note of it, so that a use costs little more than 4 bytes. Not thread-safe; pure.
//
// A use is spent when its block was used again since. How many of one time are not is counted: those of a prompt that came
// again as a whole are dropped without a look at any of them.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>

namespace svc::router {

class UseQueue {
 public:
  struct Use {
    std::uint32_t tag;  // of the block, see PrefixIndex::tag_of()
    std::uint64_t time;
  };

  /// `time` is never before that of the last one. Returns how many bytes more it takes.
  std::size_t push(const Use& use) {
    const bool first = runs_.empty() || runs_.back().time != use.time;
    if (first) runs_.push_back({use.time, 0, 0});
    ++runs_.back().count;
    ++runs_.back().last;
    tags_.push_back(use.tag);
    return sizeof(use.tag) + (first ? sizeof(Run) : 0);
  }

  /// One of that time is no longer the last use of its block: spent, or the block is gone.
  void spend(std::uint64_t time) {
    if (Run* run = find(time); run != nullptr && run->last > 0) --run->last;
  }

  [[nodiscard]] bool empty() const { return tags_.empty(); }
  [[nodiscard]] std::size_t size() const { return tags_.size(); }
  /// Of memory, in use.
  [[nodiscard]] std::size_t bytes() const { return tags_.size() * sizeof(std::uint32_t) + runs_.size() * sizeof(Run); }
  /// Not empty.
  [[nodiscard]] Use front() const { return {tags_.front(), runs_.front().time}; }
  /// Of the use that many behind the front; at < size().
  [[nodiscard]] std::uint32_t tag(std::size_t at) const { return tags_[at]; }

  /// Not empty. Returns how many bytes that gave back.
  std::size_t pop_front() {
    tags_.pop_front();
    const bool last = --runs_.front().count == 0;
    if (last) pop_run();
    return sizeof(Use::tag) + (last ? sizeof(Run) : 0);
  }

  /// Whether all that are left of the first time are spent. Not empty.
  [[nodiscard]] bool front_is_spent() const { return runs_.front().last == 0; }
  /// All of the first time; not empty. Returns how many bytes that gave back.
  std::size_t pop_time() {
    const std::size_t count = runs_.front().count;
    tags_.erase(tags_.begin(), tags_.begin() + static_cast<std::ptrdiff_t>(count));
    pop_run();
    return count * sizeof(Use::tag) + sizeof(Run);
  }

  /// Whether none of those that are left of the first time is spent. Not empty.
  [[nodiscard]] bool front_is_whole() const { return runs_.front().last == runs_.front().count; }
  /// All of the first time go to the end of `to`, as none of them is spent; not empty.
  void move_time(UseQueue& to) {
    const Run run = runs_.front();
    const auto end = tags_.begin() + static_cast<std::ptrdiff_t>(run.count);
    to.tags_.insert(to.tags_.end(), tags_.begin(), end);
    to.runs_.push_back(run);
    tags_.erase(tags_.begin(), end);
    pop_run();
  }

  static constexpr std::size_t kBytesPerUse = 4;
  static constexpr std::size_t kBytesPerTime = 16;
  static constexpr std::size_t kBytesWhenEmpty = 2 * (512 + 64);  // of the two deques

 private:
  struct Run {
    std::uint64_t time;
    std::uint32_t count;
    std::uint32_t last;  // of them, the last uses of their blocks
  };

  void pop_run() {
    runs_.pop_front();
    ++popped_;
  }

  /// Blocks of one prompt follow each other, and were most often used together before.
  Run* find(std::uint64_t time) {
    const std::size_t at = found_ - popped_;
    if (found_ >= popped_ && at < runs_.size() && runs_[at].time == time) return &runs_[at];
    const auto run = std::ranges::lower_bound(runs_, time, {}, &Run::time);
    if (run == runs_.end() || run->time != time) return nullptr;
    found_ = popped_ + static_cast<std::size_t>(run - runs_.begin());
    return &*run;
  }

  std::deque<std::uint32_t> tags_;
  std::deque<Run> runs_;
  std::size_t popped_ = 0;  // runs, since it was made
  std::size_t found_ = 0;   // the run of the last find(), counted from the first one there ever was
};

}  // namespace svc::router
