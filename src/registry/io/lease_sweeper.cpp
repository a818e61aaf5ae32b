#include "registry/io/lease_sweeper.hpp"

#include <algorithm>

namespace svc::registry {
namespace {

constexpr Duration kTick = std::chrono::seconds(1);

}  // namespace

LeaseSweeper::LeaseSweeper(asio::any_io_executor executor, RegistryState& state, ChangeWriter& writer,
                           StoreThread& store, EventPublisher& publisher, Random& random, Duration cleanup_interval)
    : state_(state),
      writer_(writer),
      store_(store),
      publisher_(publisher),
      random_(random),
      cleanup_interval_(cleanup_interval),
      tick_(executor),
      sweep_(executor) {}

void LeaseSweeper::start(TaskGroup& tasks) {
  tasks_ = &tasks;
  tasks.spawn("lease watch", watch_leases());
  tasks.spawn("sweep", sweep_regularly());
}

void LeaseSweeper::set_cleanup_interval(Duration interval) {
  if (interval == cleanup_interval_) return;  // or reloads that come more often would put every sweep off
  cleanup_interval_ = interval;
  sweep_.cancel();
}

void LeaseSweeper::stop() {
  stopped_ = true;
  tick_.cancel();
  sweep_.cancel();
}

asio::awaitable<void> LeaseSweeper::watch_leases() {
  while (!stopped_) {
    TimePoint next = steady_now() + kTick;
    if (const auto deadline = state_.next_deadline()) {
      next = std::min(next, *deadline);
    }
    tick_.expires_at(next);
    co_await tick_.async_wait(kTok);
    publisher_.advance(state_);
    if (const TimePoint now = steady_now(); now - reserved_ >= kTick) {  // leases may end much more often
      reserved_ = now;
      store_.reserve_revisions(state_.revision());
    }
  }
}

asio::awaitable<void> LeaseSweeper::sweep_regularly() {
  while (!stopped_) {
    sweep_.expires_after(cleanup_interval_);
    const auto [ec] = co_await sweep_.async_wait(kTok);
    if (!ec && !stopped_) {
      sweep();
    }
  }
}

void LeaseSweeper::sweep() {
  publisher_.advance(state_);
  auto removals = state_.plan_sweep(steady_now(), [this] { return random_(); });
  const auto status = state_.removal_status();
  if (status.on_hold != on_hold_) {
    on_hold_ = status.on_hold;
    if (on_hold_) {
      log_.warn("removal of stale services is on hold: more than half of all leases ran out together",
                {{"services", state_.size()}, {"stale", status.waiting}});
    } else {
      log_.info("removal of stale services goes on", {{"services", state_.size()}});
    }
  }
  for (auto& change : removals) {
    if (!writer_.settled(change.service.spec.name))
      continue;  // its removal waits for the disk, or it is renewed just now
    tasks_->spawn("remove stale", remove(std::move(change)));
  }
}

asio::awaitable<void> LeaseSweeper::remove(Change change) {
  const auto name = change.service.spec.name;
  // The next sweep tries again what the store refused; the writer has logged it.
  co_await writer_.run(name, [&change](const RegistryState& state, TimePoint now, InFlight) -> Result<Change> {
    if (!state.still_stale(change, now)) {
      return cancelled("renewed in the meantime");
    }
    return change;
  });
}

}  // namespace svc::registry
