#include "router/core/prefix/lane_load.hpp"

#include <algorithm>

namespace svc::router {
namespace {

// How far the first prompt of the queue is thought to be done: half of what the time allows, since an engine also works
// on answers meanwhile, and never all of it.
constexpr double kDoneShare = 0.5;
constexpr double kMostDone = 0.95;

constexpr double kLongest = 1e9;  // seconds, that a Duration holds with a time added to it

Duration to_duration(double seconds) {
  return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(std::min(seconds, kLongest)));
}

}  // namespace

TimePoint LaneLoad::head_began() const { return std::max(waiting_.front().since, last_begun_); }

void LaneLoad::sent(std::uint64_t id, const Burden& burden, TimePoint now) {
  advance(now);
  auto added = burden;
  if (spec_.serial) added.work += speed_.answer_seconds() * speed_.prefill_rate();
  waiting_.push_back({id, added, now});
  work_ += added.work;
  uncached_ += added.uncached;
  tokens_ += added.tokens;
  ++active_;
  opaque_ += added.streams ? 0 : 1;
  largest_ = std::max(largest_, added.work);
  if (active_ == 1) progressed(now);  // its silence begins here; more work is no progress
}

void LaneLoad::progressed(TimePoint now) {
  last_progress_ = std::max(last_progress_, now);
  largest_ = 0;
  for (const auto& waiting : waiting_) largest_ = std::max(largest_, waiting.burden.work);
}

bool LaneLoad::take_out(std::uint64_t id, TimePoint now, bool measured) {
  const auto found = std::find_if(waiting_.begin(), waiting_.end(), [&](const Waiting& w) { return w.id == id; });
  if (found == waiting_.end()) return false;
  if (measured) {
    // Of one that came later and was answered before, nothing can be said about how long the engine worked on it. Nor of
    // one that does not stream: its answer's time is in it, and only those faster than expected are still here.
    if (found == waiting_.begin() && found->burden.streams) speed_.prefilled(found->burden.work, now - head_began());
    last_begun_ = std::max(last_begun_, now);
  }
  work_ -= found->burden.work;
  uncached_ -= found->burden.uncached;
  waiting_.erase(found);
  if (waiting_.empty()) work_ = uncached_ = 0;  // what rounding left
  return true;
}

void LaneLoad::first_byte(std::uint64_t id, TimePoint now) {
  if (spec_.serial) return;  // it is busy with this one until the end
  if (take_out(id, now, true)) ++decoding_;
  progressed(now);
}

void LaneLoad::ended(std::uint64_t id, const Burden& burden, bool complete, TimePoint now) {
  // What was worked on until now, if anything, was this: the next one's time begins here.
  if (!waiting_.empty() && waiting_.front().id == id) last_begun_ = std::max(last_begun_, now);
  if (!take_out(id, now, false) && decoding_ > 0) --decoding_;
  if (active_ > 0) --active_;
  if (!burden.streams && opaque_ > 0) --opaque_;
  tokens_ -= burden.tokens;
  if (active_ == 0) {
    tokens_ = work_ = uncached_ = 0;
    decoding_ = opaque_ = 0;
    waiting_.clear();
  }
  if (complete) progressed(now);
}

/// Requests that do not stream tell nothing of their prompt's end: it is taken to be over when its time is.
void LaneLoad::advance(TimePoint now) {
  if (spec_.serial) return;
  while (!waiting_.empty() && !waiting_.front().burden.streams) {
    const auto& head = waiting_.front();
    const auto over = head_began() + to_duration(head.burden.work / speed_.prefill_rate());
    if (over > now) return;
    take_out(head.id, over, false);
    last_begun_ = std::max(last_begun_, over);
    ++decoding_;
  }
}

double LaneLoad::queued_work(TimePoint now) {
  advance(now);
  if (waiting_.empty()) return 0;
  const double head = waiting_.front().burden.work;
  const double done =
      std::min(kMostDone * head, kDoneShare * seconds_between(head_began(), now) * speed_.prefill_rate());
  return std::max(0.0, work_ - done);
}

bool LaneLoad::stream_begun() const {
  const auto streams = std::count_if(waiting_.begin(), waiting_.end(), [](const auto& w) { return w.burden.streams; });
  return active_ - opaque_ > static_cast<std::uint64_t>(streams);
}

LaneLoad::Stall LaneLoad::stalled(TimePoint now, TimePoint heard) const {
  if (active_ == 0 || spec_.serial) return Stall::none;
  const double silence = seconds_between(std::max(heard, last_progress_), now);
  const double floor = std::chrono::duration<double>(kStallFloor).count();
  if (stream_begun() && speed_.piece_rate() > 0) {
    // A prompt that is being computed may hold up the answers of others for as long as it takes.
    const double usual = 1.0 / speed_.piece_rate() + std::max(work_, largest_) / speed_.prefill_rate();
    if (silence > std::max(floor, kStallFactor * usual)) return Stall::pieces;
  }
  if (!waiting_.empty() && decoding_ == 0 && opaque_ == 0 && speed_.samples() > 0) {
    // Those who gave up waiting count as well: whoever comes after them is no sign of life.
    if (silence > std::max(floor, kStallFactor * largest_ / speed_.prefill_rate())) return Stall::first_byte;
  }
  return Stall::none;
}

}  // namespace svc::router
