#include "bench/sim/alarm.hpp"

#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

namespace svc::sim {

Alarm::Alarm(EventLoop& loop, std::function<void(TimePoint)> ring)
    : loop_(loop), ring_(std::move(ring)), fd_(::timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC)) {
  if (fd_ < 0 || !loop_.add(fd_, *this)) throw std::system_error(errno, std::generic_category(), "timerfd");
}

Alarm::~Alarm() {
  loop_.remove(fd_, *this);
  ::close(fd_);
}

void Alarm::set(TimePoint deadline) {
  deadline_ = deadline;
  if (deadline >= armed_) return;  // it rings earlier than needed, and is set again then
  armed_ = deadline;
  const auto since = std::max(deadline.time_since_epoch(), Duration(1));
  itimerspec spec{};
  spec.it_value.tv_sec = static_cast<time_t>(since / std::chrono::seconds(1));
  spec.it_value.tv_nsec = static_cast<long>((since % std::chrono::seconds(1)).count());
  ::timerfd_settime(fd_, TFD_TIMER_ABSTIME, &spec, nullptr);
}

void Alarm::on_io(IoEvents events) {
  std::uint64_t count = 0;
  if (!events.readable || ::read(fd_, &count, sizeof count) < 0) return;
  armed_ = TimePoint::max();
  const TimePoint now = steady_now();
  const TimePoint due = std::exchange(deadline_, TimePoint::max());
  if (due <= now) {
    ring_(now);
  } else if (due != TimePoint::max()) {
    set(due);
  }
}

Delays::Tasks::iterator Delays::at(TimePoint when, std::function<void()> task) {
  const auto place = tasks_.emplace(when, std::move(task));
  alarm_.set(tasks_.begin()->first);
  return place;
}

void Delays::ring(TimePoint now) {
  while (!tasks_.empty() && tasks_.begin()->first <= now) {
    const auto task = std::move(tasks_.begin()->second);
    tasks_.erase(tasks_.begin());
    task();
  }
  if (!tasks_.empty()) alarm_.set(tasks_.begin()->first);
}

}  // namespace svc::sim
