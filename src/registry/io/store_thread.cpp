#include "registry/io/store_thread.hpp"

#include <pthread.h>

#include <exception>
#include <iterator>
#include <utility>

namespace svc::registry {

namespace {

/// Bounds how long one transaction keeps the answers of its first submissions waiting.
constexpr std::size_t kMaxGroupOperations = 1024;

/// Out of memory is the only exception to be expected; it must end one commit, not the daemon.
template <class Work>
Result<void> guarded(Work&& work) {
  try {
    return work();
  } catch (const std::exception& error) {
    return Error{Errc::internal, ErrorSource::self, true, "the store failed", error.what()};
  }
}

}  // namespace

StoreThread::StoreThread(std::unique_ptr<Store> store) : store_(std::move(store)) {
  thread_ = std::thread([this] { run(); });
  pthread_setname_np(thread_.native_handle(), "store");
}

StoreThread::~StoreThread() { stop(); }

void StoreThread::submit(std::vector<StoreOp> operations, Done done) {
  enqueue({std::move(operations), std::nullopt, std::move(done)});
}

void StoreThread::reserve_revisions(Revision revision, Done done) { enqueue({{}, revision, std::move(done)}); }

void StoreThread::enqueue(Job job) {
  {
    const std::lock_guard lock(mutex_);
    if (!stopping_) {
      queue_.push_back(std::move(job));
      wake_.notify_one();
      return;
    }
  }
  if (job.done) job.done(Error{Errc::cancelled, ErrorSource::self, true, "the store is closed", {}}, Duration::zero());
}

std::size_t StoreThread::pending() const {
  const std::lock_guard lock(mutex_);
  return queue_.size() + in_progress_;
}

void StoreThread::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    wake_.notify_one();
  }
  if (thread_.joinable()) thread_.join();
}

void StoreThread::run() {
  for (;;) {
    std::vector<Job> group;
    {
      std::unique_lock lock(mutex_);
      in_progress_ = 0;
      wake_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
      if (queue_.empty()) break;
      // A reservation is a transaction of its own; commits up to it go together.
      std::size_t operations = 0;
      do {
        operations += queue_.front().operations.size();
        group.push_back(std::move(queue_.front()));
        queue_.pop_front();
      } while (!queue_.empty() && !group.back().reserve && !queue_.front().reserve &&
               operations + queue_.front().operations.size() <= kMaxGroupOperations);
      in_progress_ = group.size();
    }
    carry_out(std::move(group));
  }
  store_.reset();
}

void StoreThread::carry_out(std::vector<Job> group) {
  const TimePoint start = steady_now();
  Result<void> outcome;
  if (group.front().reserve) {
    outcome = guarded([&] { return store_->reserve_revisions(*group.front().reserve); });
  } else {
    outcome = guarded([&] {
      std::vector<StoreOp> operations = std::move(group.front().operations);
      for (std::size_t i = 1; i < group.size(); ++i) {
        operations.insert(operations.end(), std::make_move_iterator(group[i].operations.begin()),
                          std::make_move_iterator(group[i].operations.end()));
      }
      return store_->commit(operations);
    });
  }
  const Duration took = steady_now() - start;
  for (Job& job : group) {
    if (job.done) job.done(outcome, took);
  }
}

}  // namespace svc::registry
