// When a lane used which blocks, oldest first: what the LRU order of PrefixIndex is kept in. Blocks that were used at the
// same time share the note of it, so that a use costs little more than 4 bytes. Not thread-safe; pure.
#pragma once

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
    if (first) runs_.push_back({use.time, 0});
    ++runs_.back().count;
    tags_.push_back(use.tag);
    return sizeof(use.tag) + (first ? sizeof(Run) : 0);
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
    if (last) runs_.pop_front();
    return sizeof(Use::tag) + (last ? sizeof(Run) : 0);
  }

  static constexpr std::size_t kBytesPerUse = 4;
  static constexpr std::size_t kBytesPerTime = 16;
  static constexpr std::size_t kBytesWhenEmpty = 2 * (512 + 64);  // of the two deques

 private:
  struct Run {
    std::uint64_t time;
    std::uint64_t count;
  };
  std::deque<std::uint32_t> tags_;
  std::deque<Run> runs_;
};

}  // namespace svc::router
