// Closes a stream when a deadline passes, so that whatever operation is pending on it ends.
#pragma once

#include <memory>

#include "common/core/deadline.hpp"
#include "common/io/stream.hpp"

namespace svc {

/// Lives in the coroutine that works on the stream; disarmed by its destructor. One thread.
class DeadlineGuard {
 public:
  DeadlineGuard(asio::any_io_executor executor, Stream& stream, Deadline deadline);
  ~DeadlineGuard();
  DeadlineGuard(const DeadlineGuard&) = delete;
  DeadlineGuard& operator=(const DeadlineGuard&) = delete;

  bool expired() const { return state_->expired; }

 private:
  // Shared with the timer's handler, which may already be queued when the guard goes away.
  struct State {
    Stream* stream;
    bool expired = false;
  };
  std::shared_ptr<State> state_;
  Timer timer_;
};

}  // namespace svc
