// Instance: what an earlier agent left running.
#include "agent/io/instance_impl.hpp"

namespace svc::agent {
namespace {

using namespace std::chrono_literals;

constexpr Duration kGreetingPatience = 2s;
constexpr Duration kAttachAgain = 500ms;

}  // namespace

asio::awaitable<void> Instance::Impl::begin() {
  const bool adopted = co_await take_over();
  taking_over = false;
  ended.cancel();
  if (over) {
    co_return;  // both names are withdrawn, or are about to be
  }
  if (restart_asked) {
    apply(machine.restart(steady_now()));
  } else if (!adopted) {
    apply(machine.start(steady_now()));
  }
  own_entry.want();
}

/// A shim may be silent for a while, as when the disk of its log hangs. Its engine serves on, and nothing can be started
/// beside it: so it is asked until it answers, or has ended.
asio::awaitable<bool> Instance::Impl::attach() {
  // Also when the end was ordered before this began: what runs is to end with the agent.
  for (bool told = false; !over || !told; told = true) {
    const bool attached = co_await shim->attach(files);
    if (attached || !is_kept(files)) {
      silent_shim.reset();
      co_return attached;
    }
    if (const auto met = shim->shim_facts()) {
      silent_shim = met;  // later it may have no room for callers
    }
    if (over) {
      co_return false;
    }
    if (!told) {
      log.warn("an earlier agent's engine runs, but its shim does not answer; it is asked until it does",
               {{"service", settings.name}, {"shim", lock_holder(files.lock)}});
    }
    ended.expires_after(kAttachAgain);
    co_await ended.async_wait(kTok);
  }
  co_return false;
}

asio::awaitable<bool> Instance::Impl::take_over() {
  shim = std::make_unique<ShimClient>(parts.executor, handlers());
  found_run = true;
  const bool attached = co_await attach();
  if (!attached) {
    found_run.reset();
    shim.reset();
    co_return false;
  }
  // Its first message says what runs, unless it is one of another version.
  const auto greeting = Deadline::after(steady_now(), kGreetingPatience);
  while (!run && *found_run && !over && !greeting.expired(steady_now())) {
    ended.expires_at(greeting.when());
    co_await ended.async_wait(kTok);
  }
  if (!over && run && *found_run && run->fingerprint == fingerprint) {
    found_run.reset();
    if (!parts.outlive_agent) {
      shim->end_with_agent();
    }
    log.info("took over the running engine", {{"service", settings.name}, {"shim", run->shim}, {"port", engine_port}});
    apply(machine.adopt(steady_now()));
    parts.tasks.spawn("readiness", await_readiness(run_number));
    co_return true;
  }
  if (*found_run) {
    if (over) {
      log.warn("an earlier agent's engine runs: it ends with this agent", {{"service", settings.name}});
    } else {
      log.warn("an earlier agent's engine runs with other settings: it is stopped first", {{"service", settings.name}});
    }
    shim->stop(settings.stop_grace);
    parts.tasks.spawn("watch of the stop", watch_stop(run_number, settings.stop_grace));
  }
  // Whatever is asked of this instance meanwhile, its own end too.
  while (*found_run) {
    ended.expires_at(Timer::time_point::max());
    co_await ended.async_wait(kTok);
  }
  found_run.reset();
  co_return false;
}

void Instance::restart() {
  if (impl_->taking_over) {
    impl_->restart_asked = true;  // a start now would be one beside the run that is being looked at
    return;
  }
  impl_->apply(impl_->machine.restart(steady_now()));
}

}  // namespace svc::agent
