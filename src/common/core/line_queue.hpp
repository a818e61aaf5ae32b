// Whole lines on their way to a file that may not take them for a while: a bounded queue. Pure; not thread-safe.
//
// What does not fit is dropped, counted, and the count is kept at its place between the lines, so that whoever writes
// them can say where how many are missing. Which lines are dropped: the newest, of the source that has filled its room;
// then all of that source until half of its room is free, so that a slow disk makes few long gaps instead of many short
// ones.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/core/clock.hpp"

namespace svc {

/// Lines to be written at once.
struct LineBatch {
  std::string text;               ///< whole lines, each with its end; may be empty when lines were dropped
  std::uint64_t lines = 0;        ///< in text
  std::uint64_t lost_before = 0;  ///< lines that were dropped between the batch before and this one
  WallTime last_at{};             ///< of the last line; of the last that was dropped when there is none
  std::vector<std::size_t> bytes_by_source;
};

class LineQueue {
 public:
  /// `source_bytes`: the room of each source, counted as text. `batch_bytes`: about the size of a batch at most.
  explicit LineQueue(std::size_t source_bytes, std::size_t batch_bytes = std::size_t{64} * 1024)
      : source_bytes_(source_bytes), batch_bytes_(batch_bytes) {}

  /// `line` with its end. `source`: a small number. False: it was dropped.
  bool add(std::size_t source, WallTime at, std::string_view line);

  /// The oldest lines. They hold their room until they are given back by written(), one batch at a time.
  std::optional<LineBatch> take();
  void written(LineBatch batch);

  /// Nothing is left to be taken.
  [[nodiscard]] bool empty() const { return batches_.empty() && lost_since_ == 0; }
  /// The newest line was dropped.
  [[nodiscard]] bool dropping() const { return lost_since_ != 0; }
  [[nodiscard]] std::uint64_t dropped() const { return dropped_; }  ///< lines, ever
  [[nodiscard]] std::uint64_t waiting() const { return waiting_; }  ///< lines, those that were taken included
  [[nodiscard]] std::size_t held_bytes() const;
  /// A source has more than half of its room taken: whoever can wait adds nothing for now.
  [[nodiscard]] bool crowded() const;

 private:
  struct Source {
    std::size_t held = 0;
    bool full = false;
  };

  LineBatch& batch_for(std::size_t bytes);
  void drop(WallTime at);

  std::size_t source_bytes_;
  std::size_t batch_bytes_;
  std::vector<Source> sources_;
  std::deque<LineBatch> batches_;
  std::uint64_t lost_since_ = 0;  // since the last line of the last batch
  WallTime lost_at_{};
  std::uint64_t dropped_ = 0;
  std::uint64_t waiting_ = 0;
  std::string spare_;  // the memory of a batch that was written
};

}  // namespace svc
