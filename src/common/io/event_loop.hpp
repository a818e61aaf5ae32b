// The loop of one data-path thread: epoll, edge triggered, each descriptor registered once for both directions for its
// whole life. Against an asio::io_context this saves one epoll_ctl for every wait and the allocation of every handler,
// which is what a relay spends its user time on (docs/adr/0007). For the control paths Asio stays.
//
// One thread owns a loop and everything registered with it; only post() and stop() may be called from others.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "common/core/clock.hpp"
#include "common/io/timer_wheel.hpp"

namespace svc {

/// Bits of on_io.
struct IoEvents {
  bool readable = false;     ///< bytes, an end or an error may be read
  bool writable = false;     ///< a write that was refused may be tried again
  bool peer_closed = false;  ///< the peer ended its sending side, or the connection is dead; bytes may still be there
};

/// What a registered descriptor calls. The loop does not own it.
class IoHandler {
 public:
  IoHandler() = default;
  virtual ~IoHandler() = default;
  IoHandler(const IoHandler&) = delete;
  IoHandler& operator=(const IoHandler&) = delete;

  virtual void on_io(IoEvents events) = 0;
};

/// Base of objects that end in the middle of a round of events: they are handed to retire() and deleted after the round,
/// since events of theirs may still be queued in it.
class Retirable {
 public:
  Retirable() = default;
  virtual ~Retirable() = default;
  Retirable(const Retirable&) = delete;
  Retirable& operator=(const Retirable&) = delete;
};

class EventLoop {
 public:
  EventLoop();  ///< throws std::system_error when the process is out of descriptors
  ~EventLoop();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  /// The time when this round began; one clock reading for all of it.
  [[nodiscard]] TimePoint now() const { return now_; }
  [[nodiscard]] TimerWheel& timers() { return timers_; }

  /// Edge triggered, until the descriptor is closed. False: the kernel refused (errno).
  bool add(int fd, IoHandler& handler);
  /// Level triggered and only for reading: listening sockets.
  bool add_listener(int fd, IoHandler& handler);
  /// The handler will not be called again, not even for events of this round that were fetched already.
  void remove(int fd, IoHandler& handler);

  /// Is there an event of this round for it that was not delivered yet and tells of bytes or of an end?
  [[nodiscard]] bool input_pending(const IoHandler& handler) const;
  /// More events may be ready than this round fetched, so that input_pending does not know them all.
  [[nodiscard]] bool round_was_full() const;
  /// Events that this round fetched.
  [[nodiscard]] int round_size() const;

  /// Calls `alarm` in the first round that begins after `when` (to the millisecond: finer than the wheel). There is one;
  /// a new time takes the place of the old, and once it has been called it is off. The loop's thread, and before run().
  void on_alarm(std::function<void()> alarm) { alarm_ = std::move(alarm); }
  void set_alarm(TimePoint when) { alarm_at_ = when; }

  /// Deleted when this round is over.
  void retire(std::unique_ptr<Retirable> object) { retired_.push_back(std::move(object)); }

  /// Runs `task` on the loop's thread, in the order of posting. Any thread. After the loop has ended it is never run.
  void post(std::function<void()> task);

  /// Until stop().
  void run();
  /// One round: waits at most `limit` for events. For tests and for programs that do other things in between.
  void run_once(Duration limit);
  /// Any thread.
  void stop();

 private:
  void run_posted();
  void finish_round();

  static constexpr int kBatch = 256;
  int epoll_ = -1;
  int wake_ = -1;
  TimePoint now_;
  TimerWheel timers_;
  std::vector<std::unique_ptr<Retirable>> retired_;
  struct Batch;
  std::unique_ptr<Batch> batch_;
  std::function<void()> alarm_;
  TimePoint alarm_at_ = TimePoint::max();
  std::atomic<bool> stopping_{false};
  std::mutex posted_lock_;
  std::vector<std::function<void()>> posted_;
  std::atomic<bool> wake_sent_{false};
};

}  // namespace svc
