// Deadlines for tens of thousands of connections, at the cost of one store each time one is moved.
//
// A wheel of slots of 32 ms. A timer that is set later than before stays in its slot; when that slot comes up the timer
// is put where its deadline lies by now ("lazy", as in the timer wheels of Varghese and Lauck, 1987, scheme 6). So a timer fires up
// to two slots late, never early. One thread.
#pragma once

#include <array>
#include <cstddef>
#include <optional>

#include "common/core/clock.hpp"

namespace svc {

class TimerWheel;

/// Embedded in the object that wants the deadline. Leaves its wheel when it is destroyed.
class WheelTimer {
 public:
  WheelTimer() = default;
  virtual ~WheelTimer();
  WheelTimer(const WheelTimer&) = delete;
  WheelTimer& operator=(const WheelTimer&) = delete;

  [[nodiscard]] TimePoint deadline() const { return deadline_; }
  [[nodiscard]] bool armed() const { return deadline_ != TimePoint::max(); }

 protected:
  /// The deadline has passed; the timer is not armed any more and may be set again.
  virtual void on_timer(TimePoint now) = 0;

 private:
  friend class TimerWheel;
  TimerWheel* wheel_ = nullptr;  ///< whose slot it lies in; nullptr: in none
  WheelTimer* next_ = nullptr;
  WheelTimer** link_ = nullptr;  ///< what points at this timer
  TimePoint deadline_ = TimePoint::max();
  TimePoint queued_at_{};  ///< when the slot that it lies in comes up
};

/// A timer that calls a member function: `MemberTimer<Session, &Session::on_deadline> timer_{*this};`
template <class Owner, void (Owner::*Method)(TimePoint)>
class MemberTimer final : public WheelTimer {
 public:
  explicit MemberTimer(Owner& owner) : owner_(owner) {}

 private:
  void on_timer(TimePoint now) override { (owner_.*Method)(now); }
  Owner& owner_;
};

class TimerWheel {
 public:
  static constexpr Duration kSlot = std::chrono::milliseconds(32);

  explicit TimerWheel(TimePoint now) : base_(now) {}

  void set(WheelTimer& timer, TimePoint deadline);
  /// Cheap: the timer stays in its slot until that comes up.
  void clear(WheelTimer& timer) { timer.deadline_ = TimePoint::max(); }

  /// Fires what is due.
  void advance(TimePoint now);
  /// When advance() has to be called again; nullopt: nothing is queued.
  [[nodiscard]] std::optional<TimePoint> next_slot() const;

 private:
  static constexpr std::size_t kSlots = 2048;  // 65 s; later deadlines go round again

  void queue(WheelTimer& timer);
  void unlink(WheelTimer& timer);
  friend class WheelTimer;

  TimePoint base_;          ///< start of the slot that advance() looks at next
  std::size_t cursor_ = 0;  ///< its index
  std::size_t queued_ = 0;
  std::array<WheelTimer*, kSlots> slots_{};
};

}  // namespace svc
