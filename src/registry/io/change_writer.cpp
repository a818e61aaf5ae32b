#include "registry/io/change_writer.hpp"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <chrono>
#include <optional>
#include <utility>

#include "common/core/counted.hpp"
#include "common/io/one_shot.hpp"

namespace svc::registry {
namespace {

StoreOp operation_of(const Change& change) {
  return {change.kind == Change::Kind::put ? StoreOp::Kind::put : StoreOp::Kind::remove, change.service};
}

}  // namespace

/// One change under way. It has its name's turn, and counts in what is coming, until the store has answered.
struct ChangeWriter::Work {
  Work(ChangeWriter& of, std::string service)
      : writer(of), name(std::move(service)), place(of.in_flight_[name]), done(of.executor_) {}
  ~Work() { end(); }
  Work(const Work&) = delete;
  Work& operator=(const Work&) = delete;

  /// With the state as it is now: nothing of it is coming any more.
  void end() {
    if (std::exchange(ended, true)) return;
    new_name.reset();
    metadata.reset();
    writer.end_turn(name);
  }

  ChangeWriter& writer;
  const std::string name;
  Place& place;
  Change change;
  std::optional<Counted> new_name, metadata;
  OneShot<Result<void>> done;
  bool ended = false;
};

ChangeWriter::ChangeWriter(asio::any_io_executor executor, RegistryState& state, StoreThread& store,
                           EventPublisher& publisher, RegistryMetrics& metrics, TaskGroup& tasks)
    : executor_(executor), state_(state), store_(store), publisher_(publisher), metrics_(metrics), tasks_(tasks) {}

asio::awaitable<Result<Change>> ChangeWriter::run(std::string name, Plan plan) {
  const TimePoint until = steady_now() + kPatience;
  const bool its_turn = co_await settle_until(name, until);
  if (!its_turn) {
    co_return no_answer();
  }
  const auto work = std::make_shared<Work>(*this, name);
  auto change = plan(state_, steady_now(), coming_);
  if (!change) {
    co_return change;
  }
  const auto* entry = state_.find(name);
  const bool put = change->kind == Change::Kind::put;
  const std::size_t before = entry ? metadata_bytes_of(entry->stored.spec) : 0;
  const std::size_t after = put ? metadata_bytes_of(change->service.spec) : 0;
  work->place.is_update = put && entry;
  work->new_name.emplace(coming_.new_names, put && !entry ? 1 : 0);
  work->metadata.emplace(coming_.metadata_bytes, after - std::min(before, after));
  work->change = *change;
  if (!tasks_.spawn("store a change", carry_out(work))) {
    co_return cancelled("the registry is shutting down");
  }
  const auto done = co_await work->done.take_until(until);
  if (!done) {
    co_return no_answer();
  }
  if (!*done) {
    co_return done->error();
  }
  co_return change;
}

asio::awaitable<void> ChangeWriter::carry_out(std::shared_ptr<Work> work) {
  auto outcome = co_await apply(work->change);
  work->end();
  work->done.deliver(std::move(outcome));
}

asio::awaitable<Result<void>> ChangeWriter::apply(const Change& change) {
  auto stored = co_await store(operation_of(change));
  if (!stored) {
    co_return stored;
  }
  const auto events = state_.apply(change, steady_now(), wall_now());
  publisher_.publish(events);
  if (change.cause != Change::Cause::expired || !events.empty()) {
    co_return stored;
  }
  // It was renewed while its removal was being stored: put it back on the disk.
  if (const auto* entry = state_.find(change.service.spec.name)) {
    co_return co_await store({StoreOp::Kind::put, entry->stored});
  }
  co_return stored;
}

asio::awaitable<Result<void>> ChangeWriter::store(StoreOp operation) {
  struct Outcome {
    Result<void> result;
    Duration took;
  };
  // Shared: at a hard stop this coroutine may be gone before the store has answered.
  const auto done = std::make_shared<OneShot<Outcome>>(executor_);
  std::vector<StoreOp> operations;
  operations.push_back(std::move(operation));
  store_.submit(std::move(operations), [executor = executor_, done](Result<void> result, Duration took) {
    asio::post(executor,
               [done, outcome = Outcome{std::move(result), took}]() mutable { done->deliver(std::move(outcome)); });
  });
  auto outcome = co_await done->take();
  metrics_.store_seconds.observe(std::chrono::duration<double>(outcome.took).count());
  if (outcome.result) {
    if (!last_error_.empty()) {
      log_.info("the store works again");
      last_error_.clear();
    }
    co_return outcome.result;
  }
  const std::string why = outcome.result.error().to_string();
  note_failure("a change could not be stored and was refused", why);
  co_return unavailable("The change could not be stored, nothing was changed", why);
}

Error ChangeWriter::no_answer() {
  const std::string why = "the disk of the store does not answer";
  note_failure("changes wait for the store", why);
  return unavailable("The change could not be stored yet: " + why + "; it may still be carried out");
}

/// Said once, until it is another or the store works again.
void ChangeWriter::note_failure(const char* what, const std::string& why) {
  metrics_.store_failures.add();
  if (why == last_error_) return;
  log_.error(what, {{"error", why}});
  last_error_ = why;
}

asio::awaitable<bool> ChangeWriter::settle(std::string_view name) {
  return settle_until(name, steady_now() + kPatience);
}

asio::awaitable<bool> ChangeWriter::settle_until(std::string_view name, TimePoint until) {
  const std::string key(name);
  for (auto at = in_flight_.find(key); at != in_flight_.end(); at = in_flight_.find(key)) {
    if (steady_now() >= until) {
      co_return false;
    }
    const auto turn = std::make_shared<Timer>(executor_, until);
    at->second.waiting.push_back(turn);
    const auto [ended] = co_await turn->async_wait(kTok);
    if (!ended) {
      if (at = in_flight_.find(key); at != in_flight_.end()) std::erase(at->second.waiting, turn);
    }
  }
  co_return true;
}

void ChangeWriter::end_turn(const std::string& name) {
  const auto place = in_flight_.find(name);
  const auto queue = std::move(place->second.waiting);
  in_flight_.erase(place);
  for (const auto& waiting : queue) {
    waiting->cancel();
  }
}

}  // namespace svc::registry
