// The thread that writes: commits wait for the disk there, so that the event loop never does.
//
// Commits are carried out in the order of submission. What waits while the disk is busy is stored together in one
// transaction (group commit: one wait for the disk for all of them), so these share one outcome.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "common/core/clock.hpp"
#include "common/core/result.hpp"
#include "registry/io/store.hpp"

namespace svc::registry {

class StoreThread {
 public:
  /// Called ON THE STORE THREAD, exactly once; post back from there. `took` is the time from the start of the
  /// transaction to its end, without the time in the queue. Must not throw and must not call stop().
  using Done = std::function<void(Result<void> outcome, Duration took)>;

  explicit StoreThread(std::unique_ptr<Store> store);
  ~StoreThread();  ///< stop()
  StoreThread(const StoreThread&) = delete;
  StoreThread& operator=(const StoreThread&) = delete;

  // From any thread. After stop(), `done` is called at once, on the caller's thread, with Errc::cancelled.

  /// An empty list is answered after everything submitted before it.
  void submit(std::vector<StoreOp> operations, Done done);
  /// See Store::reserve_revisions; in order with the commits. `done` may be empty.
  void reserve_revisions(Revision revision, Done done = {});

  /// Submissions that have not been answered yet.
  std::size_t pending() const;

  /// Finishes what was submitted, closes the store, joins. Idempotent; from the owner's thread.
  void stop();

 private:
  struct Job {
    std::vector<StoreOp> operations;
    std::optional<Revision> reserve;
    Done done;
  };

  void enqueue(Job job);
  void run();
  void carry_out(std::vector<Job> group);

  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Job> queue_;
  std::size_t in_progress_ = 0;
  bool stopping_ = false;
  std::unique_ptr<Store> store_;  ///< the store thread's alone
  std::thread thread_;
};

}  // namespace svc::registry
