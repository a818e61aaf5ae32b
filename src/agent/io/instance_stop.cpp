// Instance: stops that the shim does not bring about.
#include <fcntl.h>

#include <algorithm>

#include "agent/io/instance_impl.hpp"
#include "agent/io/shim/leftovers.hpp"
#include "common/io/unique_fd.hpp"

namespace svc::agent {
namespace {

using namespace std::chrono_literals;

/// A shim reads an order within milliseconds, unless it is stopped or hangs. It has half of the grace for that, since
/// its engine is to have the rest, within these bounds.
constexpr Duration kReadWithin = 2s;
constexpr Duration kReadWithinAtLeast = 500ms;
/// After the grace, whether it still reads.
constexpr Duration kAskAgain = 6s;
constexpr Duration kLookAgain = 50ms;
/// A registry that does not answer must not hold up the end for long.
constexpr Duration kWithdrawWithin = 3s;
/// What the names have for themselves, whatever of the runs is left then.
constexpr Duration kForNames = kWithdrawWithin + 1s;

}  // namespace

std::optional<RunIdentity> Instance::Impl::identity() const {
  const auto facts = shim != nullptr ? shim->shim_facts() : silent_shim;
  if (!facts || facts->pid == 0) {
    return std::nullopt;
  }
  RunIdentity of;
  of.shim = *facts;
  of.cgroup = run ? run->cgroup : std::string();
  const UniqueFd lock_file(::open(files.lock.c_str(), O_RDONLY | O_CLOEXEC));
  of.marker = lock_file ? run_marker(lock_file.get(), settings.name) : std::string();
  return of;
}

/// A shim that reads its orders is left to it: what it waits for may be a process that nobody can kill, and a new run
/// must not begin beside that.
asio::awaitable<void> Instance::Impl::watch_stop(std::uint64_t number, Duration grace) {
  const TimePoint graceful = Deadline::after(steady_now(), grace).when();
  const Duration patience = std::clamp<Duration>(grace / 2, kReadWithinAtLeast, kReadWithin);
  while (true) {
    co_await wait(stop_watch, patience);
    if (!end_awaited(number)) {
      co_return;
    }
    if (!shim->has_unread()) {
      co_await wait(stop_watch, std::max<Duration>(graceful - steady_now(), Duration::zero()) + kAskAgain);
      if (!end_awaited(number)) {
        co_return;
      }
      shim->stop(Duration::zero());
      continue;
    }
    const auto of = identity();
    if (!of) {
      co_return;
    }
    log.error("the shim does not take the order to stop: the run is ended without it",
              {{"service", settings.name}, {"shim", of->shim.pid}});
    if (steady_now() < graceful) {
      terminate_ranks(*of);
    }
    while (end_awaited(number) && shim->has_unread() && steady_now() < graceful && engine_left(*of)) {
      co_await wait(stop_watch, kLookAgain);
    }
    if (end_awaited(number) && shim->has_unread()) {
      co_await kill(*of, [this, number] { return end_awaited(number); });
    }
  }
}

asio::awaitable<void> Instance::Impl::kill(RunIdentity of, std::function<bool()> is_present) {
  shim_killed = true;
  const bool gone = co_await kill_run(std::move(of), std::move(is_present));
  if (!gone) {
    log.error("a process of the run cannot be killed: it waits in the kernel", {{"service", settings.name}});
  }
}

asio::awaitable<void> Instance::Impl::end_silent_run() {
  const auto of = identity();
  if (!of || !is_kept(files)) {
    co_return;
  }
  log.warn("an earlier agent's engine runs, and its shim does not answer: it is ended without it",
           {{"service", settings.name}, {"shim", of->shim.pid}});
  terminate_ranks(*of);
  Timer timer(parts.executor);
  const auto grace = Deadline::after(steady_now(), settings.stop_grace);
  while (engine_left(*of) && !grace.expired(steady_now())) {
    co_await wait(timer, kLookAgain);
  }
  co_await kill(*of, [] { return true; });  // nothing begins before it is over
}

asio::awaitable<void> Instance::shut_down(Deadline deadline) {
  Impl& my = *impl_;
  my.apply(my.machine.shut_down(steady_now()));
  const Deadline runs = Deadline::at(deadline.when() - kForNames);
  while ((!my.over || my.taking_over) && !runs.expired(steady_now())) {
    my.ended.expires_at(runs.when());
    co_await my.ended.async_wait(kTok);
  }
  if (my.silent_shim) {
    co_await my.end_silent_run();
  }
  my.engine_entry.want_gone();
  my.own_entry.want_gone();
  const auto limit = Deadline::earlier_of(deadline, Deadline::after(steady_now(), kWithdrawWithin));
  const bool engine_gone = co_await my.engine_entry.gone(limit);
  const bool own_gone = co_await my.own_entry.gone(limit);
  if (!engine_gone || !own_gone) {
    my.log.warn("the registry did not confirm that the service is gone; its lease will end there",
                {{"service", my.settings.name}});
  }
}

void Instance::abandon() {
  Impl& my = *impl_;
  my.over = true;
  if (my.shim != nullptr) {
    my.shim->stop(Duration::zero());
  }
  if (const auto of = my.identity(); of && my.silent_shim && is_kept(my.files)) {
    kill_run_now(*of);  // nobody is connected to its shim
  }
  my.own_entry.stop();
  my.engine_entry.stop();
  for (Timer* timer : {&my.tick, &my.readiness, &my.progress, &my.health, &my.completions, &my.requests,
                       &my.meter_timer, &my.stop_watch, &my.ended}) {
    timer->cancel();
  }
}

}  // namespace svc::agent
