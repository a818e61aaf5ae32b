// Work that may wait for a disk for ever, on a thread of its own: the event loop waits for nothing but its result.
#pragma once

#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include "common/core/deadline.hpp"
#include "common/io/asio_aliases.hpp"

namespace svc {

/// One piece of work after another, in the order of the calls. The thread is made at the first of them, and takes no
/// signals. From the thread of the event loop.
class BlockingWorker {
 public:
  explicit BlockingWorker(asio::any_io_executor executor);
  /// Does not wait for work that hangs: its thread is left behind, with what the work holds.
  ~BlockingWorker();
  BlockingWorker(const BlockingWorker&) = delete;
  BlockingWorker& operator=(const BlockingWorker&) = delete;

  /// What `work` returns; nullopt when that takes until the deadline, when `until` (made for the same executor, and not
  /// otherwise used meanwhile) is cancelled, when there can be no thread, or when the work throws. Work that was given up
  /// is not begun any more, but when it has begun it goes on: it must own, or share, whatever it touches.
  template <class T>
  asio::awaitable<std::optional<T>> run(Deadline deadline, std::function<T()> work,
                                        std::shared_ptr<Timer> until = nullptr) {
    const auto result = std::make_shared<std::optional<T>>();
    // Named: of a function made in the call's arguments g++ 12 makes two.
    std::function<void()> job = [result, work = std::move(work)] { result->emplace(work()); };
    const bool done = co_await carry_out(deadline, std::move(job), std::move(until));
    co_return done ? std::move(*result) : std::nullopt;
  }

 private:
  struct State;
  asio::awaitable<bool> carry_out(Deadline deadline, std::function<void()> work, std::shared_ptr<Timer> until);

  asio::any_io_executor executor_;
  std::shared_ptr<State> state_;  // the thread has it too
};

}  // namespace svc
