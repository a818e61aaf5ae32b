#include "common/io/line_writer.hpp"

#include <malloc.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <utility>

namespace svc {
namespace {

/// Memory of so many lines that waited goes back to the system when they are written.
constexpr std::size_t kMuch = std::size_t{1} << 20U;

Error no_answer() {
  Error error = unavailable("the disk of the log does not answer");
  error.retryable = true;
  return error;
}

}  // namespace

struct LineWriter::State {
  State(std::unique_ptr<LineSink> file, std::size_t source_bytes, std::function<void()> news)
      : sink(std::move(file)), on_news(std::move(news)), queue(source_bytes) {}

  std::unique_ptr<LineSink> sink;  // the thread's alone once that runs
  const std::function<void()> on_news;

  std::mutex mutex;
  std::condition_variable wake, done;
  // Under the mutex.
  LineQueue queue;
  std::uint64_t lost_in_sink = 0;
  bool failing = false;
  std::optional<TimePoint> busy_since;
  std::optional<TimePoint> behind_since;  // crowded, and never empty since
  std::uint64_t reopens_wanted = 0, reopens_done = 0;
  std::optional<Error> reopen_failure;  // of the last one
  bool stopping = false;
  bool ended = false;
  bool given_up = false;

  [[nodiscard]] bool in_trouble() const { return failing || queue.dropping(); }
};

LineWriter::LineWriter(std::unique_ptr<LineSink> sink, std::size_t source_bytes, std::function<void()> on_news)
    : state_(std::make_shared<State>(std::move(sink), source_bytes, std::move(on_news))) {}

LineWriter::~LineWriter() { finish(Duration::zero()); }

bool LineWriter::start() {
  return thread_.started() || thread_.start("log", [state = state_] { run(state); });
}

void LineWriter::add(std::size_t source, WallTime at, std::string_view line) {
  const std::lock_guard lock(state_->mutex);
  state_->queue.add(source, at, line);
  if (!state_->behind_since && state_->queue.crowded()) state_->behind_since = steady_now();
}

void LineWriter::wake() { state_->wake.notify_one(); }

void LineWriter::reopen_later() {
  const std::lock_guard lock(state_->mutex);
  ++state_->reopens_wanted;
  state_->wake.notify_one();
}

Result<void> LineWriter::reopen(Duration patience) {
  std::unique_lock lock(state_->mutex);
  const std::uint64_t mine = ++state_->reopens_wanted;
  state_->wake.notify_one();
  const bool answered = state_->done.wait_for(lock, patience, [&] { return state_->reopens_done >= mine; });
  if (!answered) return no_answer();
  if (state_->reopen_failure) return *state_->reopen_failure;
  return {};
}

std::uint64_t LineWriter::lost() const {
  const std::lock_guard lock(state_->mutex);
  return state_->queue.dropped() + state_->lost_in_sink + (state_->given_up ? state_->queue.waiting() : 0);
}

bool LineWriter::failing() const {
  const std::lock_guard lock(state_->mutex);
  return state_->in_trouble();
}

TimePoint LineWriter::stuck_at() const {
  const std::lock_guard lock(state_->mutex);
  return state_->busy_since ? *state_->busy_since + kStuckAfter : TimePoint::max();
}

TimePoint LineWriter::hold_until() const {
  const std::lock_guard lock(state_->mutex);
  if (!thread_.started() || !state_->queue.crowded()) return TimePoint::min();
  const TimePoint now = steady_now();
  return std::min(state_->busy_since.value_or(now) + kHoldFor, state_->behind_since.value_or(now) + kHoldInAll);
}

bool LineWriter::finish(Duration patience) {
  std::unique_lock lock(state_->mutex);
  if (!thread_.started()) {
    state_->given_up = !state_->ended;  // as before, or it never began
    return state_->ended || state_->queue.waiting() == 0;
  }
  state_->stopping = true;
  state_->wake.notify_one();
  if (state_->done.wait_for(lock, patience, [this] { return state_->ended; })) {
    lock.unlock();
    thread_.join();
    return true;
  }
  state_->given_up = true;
  thread_.leave();
  return false;
}

void LineWriter::run(const std::shared_ptr<State>& state) {
  State& my = *state;
  std::unique_lock lock(my.mutex);
  /// Does what may wait for the disk, without the lock.
  const auto away = [&](const auto& work) {
    my.busy_since = steady_now();
    lock.unlock();
    work();
    lock.lock();
    return steady_now() - *std::exchange(my.busy_since, std::nullopt) >= kStuckAfter;
  };
  for (std::size_t most = 0;;) {
    my.wake.wait(lock, [&my] { return my.stopping || my.reopens_wanted != my.reopens_done || !my.queue.empty(); });
    if (my.reopens_wanted != my.reopens_done) {
      // Before the lines that wait: they go where they can be written.
      const std::uint64_t wanted = my.reopens_wanted;
      std::optional<Error> failure;
      const bool was_stuck = away([&] {
        const Result<void> opened = my.sink->reopen();
        if (opened.has_error()) failure = opened.error();
      });
      my.reopen_failure = std::move(failure);
      my.reopens_done = wanted;
      my.done.notify_all();
      if (was_stuck && my.on_news) my.on_news();
      continue;
    }
    const bool before = my.in_trouble();
    most = std::max(most, my.queue.held_bytes());
    auto batch = my.queue.take();
    if (!batch) break;  // stopping, and all is written
    const bool was_stuck = away([&] { my.sink->write(*batch); });
    const bool crowded = my.queue.crowded();
    my.queue.written(*std::move(batch));
    if (my.queue.empty()) my.behind_since.reset();
    const bool news = my.sink->lines_lost() != std::exchange(my.lost_in_sink, my.sink->lines_lost());
    my.failing = my.sink->failing();
    const bool room_again = crowded && !my.queue.crowded();
    if ((news || was_stuck || room_again || before != my.in_trouble()) && my.on_news) my.on_news();
    if (my.queue.empty() && std::exchange(most, 0) > kMuch) ::malloc_trim(0);
  }
  away([&my] { my.sink.reset(); });  // closing waits for the disk as well
  my.ended = true;
  my.done.notify_all();
}

}  // namespace svc
