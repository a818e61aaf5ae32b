#include "registry/io/change_writer.hpp"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <chrono>

#include "common/core/counted.hpp"
#include "common/io/one_shot.hpp"

namespace svc::registry {
namespace {

StoreOp operation_of(const Change& change) {
  return {change.kind == Change::Kind::put ? StoreOp::Kind::put : StoreOp::Kind::remove, change.service};
}

}  // namespace

ChangeWriter::ChangeWriter(asio::any_io_executor executor, RegistryState& state, StoreThread& store,
                           EventPublisher& publisher, RegistryMetrics& metrics)
    : executor_(executor), state_(state), store_(store), publisher_(publisher), metrics_(metrics) {}

asio::awaitable<Result<Change>> ChangeWriter::run(std::string name, Plan plan) {
  co_await take_turn(name);
  const Turn turn(*this, name);
  auto change = plan(state_, steady_now(), coming_);
  if (!change) {
    co_return change;
  }
  const auto* entry = state_.find(name);
  const bool put = change->kind == Change::Kind::put;
  const std::size_t before = entry ? metadata_bytes_of(entry->stored.spec) : 0;
  const std::size_t after = put ? metadata_bytes_of(change->service.spec) : 0;
  const Counted new_name(coming_.new_names, put && !entry ? 1 : 0);
  const Counted metadata(coming_.metadata_bytes, after - std::min(before, after));
  const auto done = co_await carry_out(*change);
  if (!done) {
    co_return done.error();
  }
  co_return change;
}

asio::awaitable<Result<void>> ChangeWriter::carry_out(const Change& change) {
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
  metrics_.store_failures.add();
  const std::string why = outcome.result.error().to_string();
  if (why != last_error_) {
    log_.error("a change could not be stored and was refused", {{"error", why}});
    last_error_ = why;
  }
  co_return unavailable("The change could not be stored, nothing was changed", why);
}

asio::awaitable<void> ChangeWriter::settle(std::string_view name) {
  const std::string key(name);
  for (auto at = in_flight_.find(key); at != in_flight_.end(); at = in_flight_.find(key)) {
    const auto turn = std::make_shared<Timer>(executor_, Timer::time_point::max());
    at->second.push_back(turn);
    co_await turn->async_wait(kTok);
  }
}

asio::awaitable<void> ChangeWriter::take_turn(const std::string& name) {
  co_await settle(name);
  in_flight_.try_emplace(name);
}

ChangeWriter::Turn::~Turn() {
  const auto place = writer_.in_flight_.find(name_);
  const auto queue = std::move(place->second);
  writer_.in_flight_.erase(place);
  for (const auto& waiting : queue) {
    waiting->cancel();
  }
}

}  // namespace svc::registry
