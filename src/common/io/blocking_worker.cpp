#include "common/io/blocking_worker.hpp"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <condition_variable>
#include <deque>
#include <mutex>

#include "common/io/disk_thread.hpp"

namespace svc {
namespace {

struct Job {
  std::function<void()> work;
  // The event loop's. The thread may outlive that, so no timer is its own.
  std::weak_ptr<Timer> until;
  bool done = false;
};

}  // namespace

struct BlockingWorker::State {
  std::mutex mutex;
  std::condition_variable wake;
  std::deque<std::shared_ptr<Job>> jobs;
  bool stopping = false;
  bool idle = false;
  DiskThread thread;  // the event loop's

  static void run(const std::shared_ptr<State>& state, const asio::any_io_executor& executor);
};

void BlockingWorker::State::run(const std::shared_ptr<State>& state, const asio::any_io_executor& executor) {
  State& my = *state;
  std::unique_lock lock(my.mutex);
  for (;;) {
    my.idle = true;
    my.wake.wait(lock, [&my] { return my.stopping || !my.jobs.empty(); });
    if (my.stopping) return;
    my.idle = false;
    std::shared_ptr<Job> job = std::move(my.jobs.front());
    my.jobs.pop_front();
    const std::function<void()> work = std::move(job->work);
    lock.unlock();
    bool done = true;
    try {
      work();
    } catch (const std::exception&) {
      done = false;
    }
    lock.lock();
    if (my.stopping) return;  // there may be no event loop any more
    asio::post(executor, [job = std::move(job), done] {
      job->done = done;
      if (const auto until = job->until.lock()) until->cancel();
    });
  }
}

BlockingWorker::BlockingWorker(asio::any_io_executor executor)
    : executor_(std::move(executor)), state_(std::make_shared<State>()) {}

BlockingWorker::~BlockingWorker() {
  std::unique_lock lock(state_->mutex);
  state_->stopping = true;
  state_->wake.notify_one();
  if (!state_->thread.started()) return;
  const bool idle = state_->idle;
  lock.unlock();
  if (idle) {
    state_->thread.join();
  } else {
    state_->thread.leave();
  }
}

asio::awaitable<bool> BlockingWorker::carry_out(Deadline deadline, std::function<void()> work,
                                                std::shared_ptr<Timer> until) {
  if (!until) until = std::make_shared<Timer>(executor_);
  const auto state = state_;  // this object may be gone before the end
  const auto job = std::make_shared<Job>();
  job->work = std::move(work);
  job->until = until;
  {
    const std::lock_guard lock(state->mutex);
    if (!state->thread.started() &&
        !state->thread.start("disk", [state, executor = executor_] { State::run(state, executor); })) {
      co_return false;
    }
    state->jobs.push_back(job);
    state->wake.notify_one();
  }
  until->expires_at(deadline.when());
  co_await until->async_wait(kTok);
  if (!job->done) {
    const std::lock_guard lock(state->mutex);
    std::erase(state->jobs, job);
  }
  co_return job->done;
}

}  // namespace svc
