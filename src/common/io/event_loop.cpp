#include "common/io/event_loop.hpp"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <system_error>

namespace svc {

struct EventLoop::Batch {
  std::array<epoll_event, kBatch> events;
  int next = 0;
  int count = 0;
};

EventLoop::EventLoop() : now_(steady_now()), timers_(now_), batch_(std::make_unique<Batch>()) {
  epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
  wake_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.ptr = nullptr;  // the wake-up
  if (epoll_ < 0 || wake_ < 0 || ::epoll_ctl(epoll_, EPOLL_CTL_ADD, wake_, &event) != 0) {
    const int error = errno;
    ::close(epoll_);
    ::close(wake_);
    throw std::system_error(error, std::generic_category(), "event loop");
  }
}

EventLoop::~EventLoop() {
  ::close(epoll_);
  ::close(wake_);
}

bool EventLoop::add(int fd, IoHandler& handler) {
  epoll_event event{};
  event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
  event.data.ptr = &handler;
  return ::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) == 0;
}

bool EventLoop::add_listener(int fd, IoHandler& handler) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.ptr = &handler;
  return ::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) == 0;
}

void EventLoop::remove(int fd, IoHandler& handler) {
  epoll_event unused{};
  ::epoll_ctl(epoll_, EPOLL_CTL_DEL, fd, &unused);
  for (int i = batch_->next; i < batch_->count; ++i) {
    auto& event = batch_->events[static_cast<std::size_t>(i)];
    if (event.data.ptr == &handler) {
      event.events = 0;
    }
  }
}

bool EventLoop::input_pending(const IoHandler& handler) const {
  for (int i = batch_->next; i < batch_->count; ++i) {
    const auto& event = batch_->events[static_cast<std::size_t>(i)];
    if (event.data.ptr == &handler) {
      return (event.events & (EPOLLIN | EPOLLRDHUP | EPOLLERR | EPOLLHUP)) != 0;
    }
  }
  return false;
}

bool EventLoop::round_was_full() const { return batch_->count == kBatch; }

int EventLoop::round_size() const { return batch_->count; }

void EventLoop::post(std::function<void()> task) {
  {
    const std::lock_guard lock(posted_lock_);
    posted_.push_back(std::move(task));
  }
  if (!wake_sent_.exchange(true, std::memory_order_acq_rel)) {
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto written = ::write(wake_, &one, sizeof one);
  }
}

void EventLoop::stop() {
  stopping_.store(true, std::memory_order_release);
  post([] {});
}

void EventLoop::run() {
  while (!stopping_.load(std::memory_order_acquire)) {
    run_once(std::chrono::hours(1));
  }
  run_posted();
  finish_round();
}

void EventLoop::run_once(Duration limit) {
  using std::chrono::milliseconds;
  int timeout = static_cast<int>(std::min<Duration>(limit, std::chrono::hours(1)) / milliseconds(1));
  const auto wake_by = [&timeout](TimePoint when) {
    const auto left = std::max<Duration>(when - steady_now(), Duration::zero());
    timeout = std::min(timeout, static_cast<int>((left + milliseconds(1) - Duration(1)) / milliseconds(1)));
  };
  if (const auto slot = timers_.next_slot()) {
    wake_by(*slot);
  }
  if (alarm_at_ != TimePoint::max()) {
    wake_by(alarm_at_);
  }
  batch_->next = 0;
  batch_->count = std::max(0, ::epoll_wait(epoll_, batch_->events.data(), kBatch, timeout));
  now_ = steady_now();

  while (batch_->next < batch_->count) {
    const epoll_event event = batch_->events[static_cast<std::size_t>(batch_->next++)];
    if (event.data.ptr == nullptr) {
      run_posted();
    } else if (event.events != 0) {
      const bool dead = (event.events & (EPOLLERR | EPOLLHUP)) != 0;
      static_cast<IoHandler*>(event.data.ptr)
          ->on_io({.readable = dead || (event.events & (EPOLLIN | EPOLLRDHUP)) != 0,
                   .writable = dead || (event.events & EPOLLOUT) != 0,
                   .peer_closed = dead || (event.events & EPOLLRDHUP) != 0});
    }
  }
  timers_.advance(now_);
  if (now_ >= alarm_at_) {
    alarm_at_ = TimePoint::max();
    alarm_();
  }
  finish_round();
}

void EventLoop::run_posted() {
  std::uint64_t count = 0;
  [[maybe_unused]] const auto got = ::read(wake_, &count, sizeof count);
  wake_sent_.store(false, std::memory_order_release);
  std::vector<std::function<void()>> tasks;
  {
    const std::lock_guard lock(posted_lock_);
    tasks.swap(posted_);
  }
  for (auto& task : tasks) {
    task();
  }
}

void EventLoop::finish_round() {
  // What dies may retire more.
  while (!retired_.empty()) {
    std::vector<std::unique_ptr<Retirable>> dying;
    dying.swap(retired_);
  }
}

}  // namespace svc
