// A timer to the microsecond (timerfd), for steps that the loop's timer wheel is too coarse for.
#pragma once

#include <functional>
#include <map>

#include "common/core/clock.hpp"
#include "common/io/event_loop.hpp"

namespace svc::sim {

/// One deadline at a time.
class Alarm final : public IoHandler {
 public:
  /// `ring(now)` is called when the deadline has passed; it may set the next.
  Alarm(EventLoop& loop, std::function<void(TimePoint)> ring);
  ~Alarm();
  Alarm(const Alarm&) = delete;
  Alarm& operator=(const Alarm&) = delete;

  void set(TimePoint deadline);
  void clear() { deadline_ = TimePoint::max(); }

 private:
  void on_io(IoEvents events) override;

  EventLoop& loop_;
  std::function<void(TimePoint)> ring_;
  int fd_ = -1;
  TimePoint deadline_ = TimePoint::max();  ///< max: not set
  TimePoint armed_ = TimePoint::max();     ///< what the kernel was told
};

/// Any number of tasks, each at its time.
class Delays {
 public:
  using Tasks = std::multimap<TimePoint, std::function<void()>>;
  explicit Delays(EventLoop& loop) : alarm_(loop, [this](TimePoint now) { ring(now); }) {}

  Tasks::iterator at(TimePoint when, std::function<void()> task);
  void cancel(Tasks::iterator task) { tasks_.erase(task); }

 private:
  void ring(TimePoint now);
  Tasks tasks_;
  Alarm alarm_;
};

}  // namespace svc::sim
