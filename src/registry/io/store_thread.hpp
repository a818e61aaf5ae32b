// The thread that writes: commits wait for the disk there, so that the event loop never does.
//
// Commits are carried out in the order of submission. What waits while the disk is busy is stored together in one
// transaction (group commit: one wait for the disk for all of them), so these share one outcome.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "common/core/clock.hpp"
#include "common/core/result.hpp"
#include "common/io/disk_thread.hpp"
#include "registry/io/store.hpp"

namespace svc::registry {

class StoreThread {
 public:
  /// Called ON THE STORE THREAD, exactly once; post back from there. `took` is the time from the start of the
  /// transaction to its end, without the time in the queue. Must not throw, nor call anything of this class.
  using Done = std::function<void(Result<void> outcome, Duration took)>;

  explicit StoreThread(std::unique_ptr<Store> store);
  ~StoreThread();  ///< stop()
  StoreThread(const StoreThread&) = delete;
  StoreThread& operator=(const StoreThread&) = delete;

  // From any thread. After stop(), `done` is called at once, on the caller's thread, with Errc::cancelled.

  /// An empty list is answered after everything submitted before it.
  void submit(std::vector<StoreOp> operations, Done done);
  /// See Store::reserve_revisions; in order with the commits. `done` may be empty. False: not taken, and `done` is not
  /// called, since an earlier one waits or is under way: a disk that hangs must not gather them.
  bool reserve_revisions(Revision revision, Done done = {});

  /// Submissions that have not been answered yet; reservations are none.
  std::size_t pending() const;

  /// Finishes what was submitted, closes the store, joins. A disk that hangs is waited for 3 s: then what is not stored is
  /// answered with Errc::cancelled, or, of the commit that hangs, never. Idempotent; from the owner's thread.
  void stop();

 private:
  struct Job {
    std::vector<StoreOp> operations;
    std::optional<Revision> reserve;
    Done done;
  };

  struct State;
  static void run(const std::shared_ptr<State>& state);

  void enqueue(Job job);

  std::shared_ptr<State> state_;  ///< the thread's too: it may be left behind
  DiskThread thread_;
};

}  // namespace svc::registry
