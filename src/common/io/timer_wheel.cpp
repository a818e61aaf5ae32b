#include "common/io/timer_wheel.hpp"

#include <algorithm>

namespace svc {

WheelTimer::~WheelTimer() {
  if (wheel_ != nullptr) {
    wheel_->unlink(*this);
  }
}

void TimerWheel::set(WheelTimer& timer, TimePoint deadline) {
  timer.deadline_ = deadline;
  if (timer.wheel_ != nullptr) {
    if (timer.queued_at_ <= deadline + kSlot) {
      return;
    }
    unlink(timer);
  }
  queue(timer);
}

void TimerWheel::queue(WheelTimer& timer) {
  // The slot after the one that holds the deadline: when it comes up, the deadline has passed.
  const auto ahead = std::max(Duration::zero(), timer.deadline_ - base_) / kSlot + 1;
  // Not the last one: while advance() empties a slot, that is the very slot being emptied.
  const auto slots = std::min<Duration::rep>(ahead, kSlots - 2);
  WheelTimer*& head = slots_[(cursor_ + static_cast<std::size_t>(slots)) % kSlots];
  timer.wheel_ = this;
  timer.queued_at_ = base_ + slots * kSlot;
  timer.next_ = head;
  timer.link_ = &head;
  if (head != nullptr) {
    head->link_ = &timer.next_;
  }
  head = &timer;
  ++queued_;
}

void TimerWheel::unlink(WheelTimer& timer) {
  *timer.link_ = timer.next_;
  if (timer.next_ != nullptr) {
    timer.next_->link_ = timer.link_;
  }
  timer.wheel_ = nullptr;
  timer.next_ = nullptr;
  timer.link_ = nullptr;
  --queued_;
}

void TimerWheel::advance(TimePoint now) {
  while (base_ <= now) {
    if (queued_ == 0) {
      // Nothing to find: step over the empty slots of a long silence at once.
      const auto steps = (now - base_) / kSlot + 1;
      base_ += steps * kSlot;
      cursor_ = (cursor_ + static_cast<std::size_t>(steps)) % kSlots;
      return;
    }
    // Unlinked one by one: what on_timer does may destroy any other timer.
    WheelTimer*& head = slots_[cursor_];
    const std::size_t current = cursor_;
    const TimePoint slot = base_;
    base_ += kSlot;
    cursor_ = (cursor_ + 1) % kSlots;
    while (slots_[current] != nullptr) {
      WheelTimer& timer = *head;
      unlink(timer);
      if (!timer.armed()) {
        continue;
      }
      if (timer.deadline_ > slot) {
        queue(timer);
        continue;
      }
      timer.deadline_ = TimePoint::max();
      timer.on_timer(now);
    }
  }
}

std::optional<TimePoint> TimerWheel::next_slot() const {
  if (queued_ == 0) {
    return std::nullopt;
  }
  return base_;
}

}  // namespace svc
