#include "bench/load/pacer.hpp"

#include <sys/timerfd.h>
#include <unistd.h>

#include <cerrno>
#include <random>
#include <system_error>
#include <utility>

namespace svc::load {

Pacer::Pacer(EventLoop& loop, double per_second, bool even)
    : loop_(loop),
      mean_ns_(1e9 / per_second),
      even_(even),
      fd_(::timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC)) {
  if (fd_ < 0 || !loop_.add_listener(fd_, *this)) {
    const int error = errno;
    ::close(fd_);
    throw std::system_error(error, std::generic_category(), "timer");
  }
}

Pacer::~Pacer() {
  loop_.remove(fd_, *this);
  ::close(fd_);
}

void Pacer::start(std::function<void(TimePoint)> arrive) {
  arrive_ = std::move(arrive);
  running_ = true;
  next_ = steady_now();
  advance();
  arm();
}

void Pacer::stop() { running_ = false; }

void Pacer::advance() {
  const double gap = even_ ? mean_ns_ : std::exponential_distribution<double>(1 / mean_ns_)(random_);
  next_ += Duration(static_cast<Duration::rep>(gap));
}

void Pacer::arm() {
  const auto since = next_.time_since_epoch();
  const auto whole = std::chrono::duration_cast<std::chrono::seconds>(since);
  itimerspec when{};
  when.it_value.tv_sec = whole.count();
  when.it_value.tv_nsec = (since - whole).count();
  ::timerfd_settime(fd_, TFD_TIMER_ABSTIME, &when, nullptr);
}

void Pacer::on_io(IoEvents) {
  std::uint64_t count = 0;
  [[maybe_unused]] const auto got = ::read(fd_, &count, sizeof count);
  while (running_ && next_ <= steady_now()) {
    const auto due = next_;
    advance();
    arrive_(due);
  }
  if (running_) {
    arm();
  }
}

}  // namespace svc::load
