#include "common/core/line_queue.hpp"

#include <algorithm>
#include <numeric>
#include <utility>

namespace svc {

bool LineQueue::add(std::size_t source, WallTime at, std::string_view line) {
  if (source >= sources_.size()) sources_.resize(source + 1);
  Source& from = sources_[source];
  if (from.held + line.size() > source_bytes_) from.full = true;
  if (from.full) {
    drop(at);
    return false;
  }
  LineBatch& batch = batch_for(line.size());
  batch.text += line;
  ++batch.lines;
  batch.last_at = at;
  if (source >= batch.bytes_by_source.size()) batch.bytes_by_source.resize(source + 1);
  batch.bytes_by_source[source] += line.size();
  from.held += line.size();
  ++waiting_;
  return true;
}

void LineQueue::drop(WallTime at) {
  ++lost_since_;
  ++dropped_;
  lost_at_ = at;
}

LineBatch& LineQueue::batch_for(std::size_t bytes) {
  const bool fits = !batches_.empty() && lost_since_ == 0 && batches_.back().text.size() + bytes <= batch_bytes_;
  if (fits) return batches_.back();
  const bool queued = !batches_.empty();
  LineBatch& batch = batches_.emplace_back();
  batch.text = std::exchange(spare_, {});
  // The writer is behind, so this one will be filled: grown step by step it would take up to twice as much.
  if (queued) batch.text.reserve(batch_bytes_);
  batch.lost_before = std::exchange(lost_since_, 0);
  return batch;
}

std::optional<LineBatch> LineQueue::take() {
  if (batches_.empty()) {
    if (lost_since_ == 0) return std::nullopt;
    LineBatch gap;
    gap.lost_before = std::exchange(lost_since_, 0);
    gap.last_at = lost_at_;
    return gap;
  }
  std::optional<LineBatch> batch(std::move(batches_.front()));
  batches_.pop_front();
  return batch;
}

void LineQueue::written(LineBatch batch) {
  waiting_ -= batch.lines;
  for (std::size_t i = 0; i < batch.bytes_by_source.size(); ++i) {
    Source& from = sources_[i];
    from.held -= batch.bytes_by_source[i];
    if (from.held <= source_bytes_ / 2) from.full = false;
  }
  if (batch.text.capacity() <= 2 * batch_bytes_) {
    batch.text.clear();
    spare_ = std::move(batch.text);
  }
}

bool LineQueue::crowded() const {
  return std::any_of(sources_.begin(), sources_.end(),
                     [this](const Source& source) { return source.held > source_bytes_ / 2; });
}

std::size_t LineQueue::held_bytes() const {
  return std::accumulate(sources_.begin(), sources_.end(), std::size_t{0},
                         [](std::size_t sum, const Source& source) { return sum + source.held; });
}

}  // namespace svc
