#include <utility>

#include "agent/io/engine_probe.hpp"
#include "agent/io/instance_impl.hpp"
#include "common/core/duration_text.hpp"
#include "common/io/port_check.hpp"

namespace svc::agent {
namespace {

using namespace std::chrono_literals;

constexpr Duration kFirstAsk = 20ms;
constexpr Duration kSlowestAsk = 500ms;  ///< of an engine that loads for minutes
constexpr Duration kAskTimeout = 5s;
constexpr Duration kProgressEvery = 10s;
constexpr Duration kRequestsEvery = 100ms;
constexpr Duration kDoubt = SystemReadings::kKeep + 50ms;  ///< until a reading is a new one for sure
/// After `draining` was told: routers that watch the registry have heard of it, and what they sent before has arrived.
constexpr Duration kDrainSettle = 1s;

std::uint64_t mebibytes(std::uint64_t bytes) { return bytes / (1024 * 1024); }

}  // namespace

asio::awaitable<void> Instance::Impl::await_readiness(std::uint64_t number) {
  Duration pause = kFirstAsk;
  bool told = false;
  while (present(number) && machine.processes_exist() && !machine.ready()) {
    auto answer = co_await probe_models(parts.client, engine(), kAskTimeout);
    if (!present(number)) {
      co_return;
    }
    if (answer && answers_itself()) {
      models = *std::move(answer);
      load = run ? measure_load(parts.readings, run->shim, engine_port) : InstanceLoad{};
      shim->settle_port(engine_port);
      apply(machine.became_ready(steady_now()));
      co_return;
    }
    if (!answer && answer.error().code == Errc::unauthorized && !std::exchange(told, true)) {
      say_key_is_wrong(answer.error());
    }
    co_await wait(readiness, pause);
    pause = std::min(pause * 5 / 4, kSlowestAsk);
  }
}

/// A model list at the engine's port is the engine's only when it is one of the run's processes that listens there.
bool Instance::Impl::answers_itself() {
  const PortOwner owner = run ? owner_of_port(engine_port, run->shim) : PortOwner{};
  if (owner.who != PortOwner::Who::somebody_else) {
    return true;
  }
  // A program of the operator's may be a client of something that serves for it, as `docker run` is.
  const bool believed = !settings.command.empty();
  if (!std::exchange(stranger_told, true)) {
    log.log(believed ? LogLevel::warn : LogLevel::error,
            believed
                ? "the engine's port is served by a process that this agent did not start; it is taken for the engine"
                : "the engine's port is taken by somebody else: what answers there is not the engine",
            {{"service", settings.name}, {"port", engine_port}, {"holder", owner.holder}});
  }
  return believed;
}

void Instance::Impl::say_key_is_wrong(const Error& reason) const {
  log.warn(engine_key.empty()
               ? "the engine asks for an API key before it lists its models: engine_api_key_file names a "
                 "file with the key"
               : "the engine refuses the key of engine_api_key_file: it is not ready before it takes it",
           {{"service", settings.name}, {"reason", reason.cause}});
}

asio::awaitable<void> Instance::Impl::tell_progress(std::uint64_t number) {
  while (true) {
    co_await wait(progress, kProgressEvery);
    if (!present(number) || machine.state() != InstanceState::starting) {
      co_return;
    }
    const auto since = machine.since_start().value_or(steady_now());
    const InstanceLoad now = run ? measure_load(parts.readings, run->shim, engine_port) : InstanceLoad{};
    const auto on_gpu = co_await gpu_memory();
    const std::string time = format_duration(std::chrono::duration_cast<std::chrono::seconds>(steady_now() - since));
    const std::uint64_t rss = mebibytes(now.rss_bytes.value_or(0));
    if (on_gpu) {
      log.info("still loading", {{"service", settings.name},
                                 {"for", time},
                                 {"rss_mib", rss},
                                 {"gpu_mib", mebibytes(*on_gpu)},
                                 {"last_line", last_line}});
    } else {
      log.info("still loading",
               {{"service", settings.name}, {"for", time}, {"rss_mib", rss}, {"last_line", last_line}});
    }
  }
}

/// Nothing is wrong yet with the run, and nobody has ordered its end: an engine that ends as asked may refuse a probe.
bool Instance::Impl::to_be_alive(std::uint64_t number) const {
  const bool serves = machine.state() == InstanceState::running || machine.state() == InstanceState::draining;
  return present(number) && serves && !first_exit;
}

void Instance::Impl::probed(bool alive, const std::string& why) {
  if (!alive) {
    log.warn("the engine did not pass a liveness probe",
             {{"service", settings.name}, {"reason", why}, {"failures", machine.failures_in_a_row() + 1}});
  }
  apply(machine.probed(steady_now(), alive));
}

/// Neither a failure nor a sign of life.
void Instance::Impl::say_not_asked(const std::string& why) const {
  log.warn("the engine could not be asked whether it is alive", {{"service", settings.name}, {"reason", why}});
}

asio::awaitable<void> Instance::Impl::watch_health(std::uint64_t number) {
  if (settings.probe_failures == 0) {
    co_return;
  }
  while (true) {
    co_await wait(health, settings.probe_interval);
    if (!to_be_alive(number)) {
      co_return;
    }
    const auto outcome = co_await probe_health(parts.client, engine(), settings.health_path, settings.probe_timeout);
    if (!to_be_alive(number)) {
      co_return;
    }
    if (outcome.asked) {
      probed(outcome.alive, outcome.reason);
    } else {
      say_not_asked(outcome.reason);
    }
  }
}

asio::awaitable<void> Instance::Impl::watch_completions(std::uint64_t number) {
  if (settings.completion_probe_interval == Duration::zero() || models.ids.empty()) {
    co_return;
  }
  std::int64_t failures = 0;  // apart: a /health that goes on to answer does not make up for them
  while (true) {
    co_await wait(completions, settings.completion_probe_interval);
    if (!to_be_alive(number)) {
      co_return;
    }
    const auto outcome =
        co_await probe_completion(parts.client, engine(), models.ids.front(), settings.completion_probe_timeout);
    if (!to_be_alive(number)) {
      co_return;
    }
    if (!outcome.asked) {
      say_not_asked(outcome.reason);
      continue;
    }
    failures = outcome.alive ? 0 : failures + 1;
    if (!outcome.alive) {
      log.warn("the engine generates nothing",
               {{"service", settings.name}, {"reason", outcome.reason}, {"failures", failures}});
    }
    const std::int64_t limit = std::max<std::int64_t>(settings.probe_failures, 1);
    for (std::int64_t i = 0; failures >= limit && i < limit; ++i) {
      apply(machine.probed(steady_now(), false));
    }
  }
}

/// One at a time: the number of the drain it was begun for. Woken whenever the machine is told something.
asio::awaitable<void> Instance::Impl::watch_requests(std::uint64_t number) {
  std::optional<TimePoint> idle_since;  // a reading may be older than a request that came a moment ago
  while (!over && number == drains && machine.state() == InstanceState::draining) {
    const TimePoint settled = machine.state_since() + kDrainSettle;
    TimePoint look_at = TimePoint::max();  // out of rotation for as long as somebody likes
    if (machine.awaits_requests()) {
      const TimePoint now = steady_now();
      if (now < settled || has_open_requests()) {
        idle_since.reset();
        look_at = std::max(settled, now + kRequestsEvery);
      } else if (!idle_since) {
        idle_since = now;
        look_at = now + kDoubt;
      } else if (now >= *idle_since + kDoubt) {
        apply(machine.no_open_requests(now));
        co_return;
      } else {
        look_at = *idle_since + kDoubt;  // something else woke it: the reading may be the same one still
      }
    }
    requests.expires_at(look_at);
    co_await requests.async_wait(kTok);
  }
}

bool Instance::Impl::has_open_requests() {
  const auto use = parts.readings.port_use(engine_port);
  return !use || use->open_requests > 0;
}

asio::awaitable<std::optional<std::uint64_t>> Instance::Impl::gpu_memory() {
  if (!run || !parts.gpu.available()) {
    co_return std::nullopt;
  }
  co_return co_await parts.gpu.used_by(run_processes(parts.readings, run->shim));
}

/// The engine's own count is better than what its connections look like.
asio::awaitable<void> Instance::Impl::ask_for_requests(InstanceLoad& now) {
  if (!tells_requests || !machine.since_ready()) {
    co_return;
  }
  const std::uint64_t number = run_number;
  const auto told = co_await probe_requests(parts.client, engine(), settings.probe_timeout);
  if (!present(number)) {
    co_return;
  }
  if (told) {
    now.in_flight = told->running ? told->running : now.in_flight;
    now.queue = told->waiting;
  } else if (told.error().code == Errc::not_found) {
    tells_requests = false;
  }
}

asio::awaitable<void> Instance::Impl::meter() {
  while (!over) {
    InstanceLoad now = run ? measure_load(parts.readings, run->shim, engine_port) : InstanceLoad{};
    now.gpu_memory_bytes = co_await gpu_memory();
    co_await ask_for_requests(now);
    load = now;
    // At the same moments as the other services of this interval: they share a reading.
    const Duration interval = std::max<Duration>(settings.heartbeat_interval, kRequestsEvery);
    meter_timer.expires_after(interval - steady_now().time_since_epoch() % interval);
    co_await meter_timer.async_wait(kTok);
  }
}

}  // namespace svc::agent
