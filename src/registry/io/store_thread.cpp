#include "registry/io/store_thread.hpp"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <exception>
#include <iterator>
#include <mutex>
#include <stdexcept>
#include <utility>

namespace svc::registry {

namespace {

/// Bounds how long one transaction keeps the answers of its first submissions waiting.
constexpr std::size_t kMaxGroupOperations = 1024;

constexpr Duration kStopPatience = std::chrono::seconds(3);

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

struct StoreThread::State {
  std::unique_ptr<Store> store;  // the thread's alone

  std::mutex mutex;
  std::condition_variable wake, done;
  // Under the mutex.
  std::deque<Job> queue;
  std::size_t in_progress = 0;
  bool reserving = false;  // one is queued or in progress
  bool stopping = false;
  bool ended = false;
  bool left = false;  // nobody is there any more to be answered

  bool next(std::vector<Job>& group);
  void carry_out(std::vector<Job> group);
};

StoreThread::StoreThread(std::unique_ptr<Store> store) : state_(std::make_shared<State>()) {
  state_->store = std::move(store);
  if (!thread_.start("store", [state = state_] { run(state); })) {
    throw std::runtime_error("there can be no thread for the store");
  }
}

StoreThread::~StoreThread() { stop(); }

void StoreThread::submit(std::vector<StoreOp> operations, Done done) {
  enqueue({std::move(operations), std::nullopt, std::move(done)});
}

bool StoreThread::reserve_revisions(Revision revision, Done done) {
  {
    const std::lock_guard lock(state_->mutex);
    if (state_->reserving) return false;
    state_->reserving = !state_->stopping;
  }
  enqueue({{}, revision, std::move(done)});
  return true;
}

namespace {

Error closed() { return {Errc::cancelled, ErrorSource::self, true, "the store is closed", {}}; }

}  // namespace

void StoreThread::enqueue(Job job) {
  {
    const std::lock_guard lock(state_->mutex);
    if (!state_->stopping) {
      state_->queue.push_back(std::move(job));
      state_->wake.notify_one();
      return;
    }
  }
  if (job.done) job.done(closed(), Duration::zero());
}

std::size_t StoreThread::pending() const {
  const std::lock_guard lock(state_->mutex);
  const std::size_t all = state_->queue.size() + state_->in_progress;
  return all - std::min<std::size_t>(all, state_->reserving ? 1 : 0);
}

void StoreThread::stop() {
  std::deque<Job> given_up;
  {
    std::unique_lock lock(state_->mutex);
    state_->stopping = true;
    state_->wake.notify_one();
    if (!thread_.started()) return;
    if (state_->done.wait_for(lock, kStopPatience, [this] { return state_->ended; })) {
      lock.unlock();
      thread_.join();
      return;
    }
    state_->left = true;
    given_up.swap(state_->queue);
    thread_.leave();
  }
  for (const Job& job : given_up) {
    if (job.done) job.done(closed(), Duration::zero());
  }
}

void StoreThread::run(const std::shared_ptr<State>& state) {
  std::vector<Job> group;
  while (state->next(group)) state->carry_out(std::exchange(group, {}));
  state->store.reset();
  const std::lock_guard lock(state->mutex);
  state->ended = true;
  state->done.notify_one();
}

/// False: it is to end, and nothing is left to do.
bool StoreThread::State::next(std::vector<Job>& group) {
  std::unique_lock lock(mutex);
  wake.wait(lock, [this] { return stopping || !queue.empty(); });
  if (queue.empty()) return false;
  // A reservation is a transaction of its own; commits up to it go together.
  std::size_t operations = 0;
  do {
    operations += queue.front().operations.size();
    group.push_back(std::move(queue.front()));
    queue.pop_front();
  } while (!queue.empty() && !group.back().reserve && !queue.front().reserve &&
           operations + queue.front().operations.size() <= kMaxGroupOperations);
  in_progress = group.size();
  return true;
}

void StoreThread::State::carry_out(std::vector<Job> group) {
  const TimePoint start = steady_now();
  Result<void> outcome;
  if (group.front().reserve) {
    outcome = guarded([&] { return store->reserve_revisions(*group.front().reserve); });
  } else {
    outcome = guarded([&] {
      std::vector<StoreOp> operations = std::move(group.front().operations);
      for (std::size_t i = 1; i < group.size(); ++i) {
        operations.insert(operations.end(), std::make_move_iterator(group[i].operations.begin()),
                          std::make_move_iterator(group[i].operations.end()));
      }
      return store->commit(operations);
    });
  }
  const Duration took = steady_now() - start;
  const std::lock_guard lock(mutex);
  in_progress = 0;
  if (group.front().reserve) reserving = false;
  if (left) {
    // What waits for the answers is gone with its event loop: they may not even be destroyed.
    static_cast<void>(new std::vector<Job>(std::move(group)));
    return;
  }
  for (Job& job : group) {
    if (job.done) job.done(outcome, took);
    job.done = nullptr;
  }
}

}  // namespace svc::registry
