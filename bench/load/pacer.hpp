// When the next request of an open loop is due: evenly spaced, or a Poisson process. The seed is fixed, so that all
// that are compared get the same arrivals. Wakes the loop with a timer of the kernel: the slots of the wheel are too wide.
#pragma once

#include <functional>

#include "common/core/clock.hpp"
#include "common/io/event_loop.hpp"
#include "common/io/random.hpp"

namespace svc::load {

class Pacer final : private IoHandler {
 public:
  /// `per_second` > 0. Throws std::system_error when the process is out of descriptors.
  Pacer(EventLoop& loop, double per_second, bool even);
  ~Pacer();
  Pacer(const Pacer&) = delete;
  Pacer& operator=(const Pacer&) = delete;

  /// `arrive` is called once for each arrival with the time when it was due.
  void start(std::function<void(TimePoint)> arrive);
  void stop();

 private:
  void on_io(IoEvents events) override;
  void advance();
  void arm();

  EventLoop& loop_;
  Random random_{42};
  double mean_ns_;
  bool even_;
  bool running_ = false;
  TimePoint next_;
  std::function<void(TimePoint)> arrive_;
  int fd_ = -1;
};

}  // namespace svc::load
