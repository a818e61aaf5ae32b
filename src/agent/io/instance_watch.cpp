#include "agent/io/engine_probe.hpp"
#include "agent/io/instance_impl.hpp"
#include "common/core/duration_text.hpp"

namespace svc::agent {
namespace {

using namespace std::chrono_literals;

constexpr Duration kFirstAsk = 20ms;
constexpr Duration kSlowestAsk = 500ms;  ///< of an engine that loads for minutes
constexpr Duration kAskTimeout = 5s;
constexpr Duration kProgressEvery = 10s;
constexpr Duration kRequestsEvery = 100ms;
/// After `draining` was told: routers that watch the registry have heard of it, and what they sent before has arrived.
constexpr Duration kDrainSettle = 1s;

std::uint64_t mebibytes(const std::optional<std::uint64_t>& bytes) { return bytes.value_or(0) / (1024 * 1024); }

}  // namespace

asio::awaitable<void> Instance::Impl::await_readiness(std::uint64_t number) {
  Duration pause = kFirstAsk;
  while (present(number) && machine.processes_exist() && !machine.ready()) {
    auto answer = co_await probe_models(parts.client, settings.host, engine_port, kAskTimeout);
    if (!present(number)) {
      co_return;
    }
    if (answer) {
      models = *std::move(answer);
      apply(machine.became_ready(steady_now()));
      co_return;
    }
    co_await wait(readiness, pause);
    pause = std::min(pause * 5 / 4, kSlowestAsk);
  }
}

asio::awaitable<void> Instance::Impl::tell_progress(std::uint64_t number) {
  while (true) {
    co_await wait(progress, kProgressEvery);
    if (!present(number) || machine.state() != InstanceState::starting) {
      co_return;
    }
    const auto since = machine.since_start().value_or(steady_now());
    const InstanceLoad now = run ? measure_load(run->shim, engine_port) : InstanceLoad{};
    const auto on_gpu = run ? co_await parts.gpu.used_by(run_processes(run->shim)) : std::nullopt;
    log.info("still loading",
             {{"service", settings.name},
              {"for", format_duration(std::chrono::duration_cast<std::chrono::seconds>(steady_now() - since))},
              {"rss_mib", mebibytes(now.rss_bytes)},
              {"gpu_mib", mebibytes(on_gpu)},
              {"last_line", last_line}});
  }
}

void Instance::Impl::probed(bool alive, const std::string& why) {
  if (!alive) {
    log.warn("the engine did not pass a liveness probe",
             {{"service", settings.name}, {"reason", why}, {"failures", machine.failures_in_a_row() + 1}});
  }
  apply(machine.probed(steady_now(), alive));
}

asio::awaitable<void> Instance::Impl::watch_health(std::uint64_t number) {
  if (settings.probe_failures == 0) {
    co_return;
  }
  while (true) {
    co_await wait(health, settings.probe_interval);
    if (!present(number) || !machine.processes_exist() || first_exit) {
      co_return;
    }
    const auto outcome =
        co_await probe_health(parts.client, settings.host, engine_port, settings.health_path, settings.probe_timeout);
    if (!present(number) || first_exit) {
      co_return;
    }
    probed(outcome.alive, outcome.reason);
  }
}

asio::awaitable<void> Instance::Impl::watch_completions(std::uint64_t number) {
  if (settings.completion_probe_interval == Duration::zero() || models.ids.empty()) {
    co_return;
  }
  std::int64_t failures = 0;  // apart: a /health that goes on to answer does not make up for them
  while (true) {
    co_await wait(completions, settings.completion_probe_interval);
    if (!present(number) || first_exit) {
      co_return;
    }
    const auto outcome = co_await probe_completion(parts.client, settings.host, engine_port, models.ids.front(),
                                                   settings.completion_probe_timeout);
    if (!present(number) || first_exit) {
      co_return;
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

asio::awaitable<void> Instance::Impl::watch_requests() {
  co_await wait(requests, kDrainSettle);
  while (!over && machine.state() == InstanceState::draining) {
    const auto open = open_connections(engine_port);
    if (open && *open == 0) {
      apply(machine.no_open_requests(steady_now()));
    }
    co_await wait(requests, kRequestsEvery);
  }
}

asio::awaitable<void> Instance::Impl::meter() {
  while (!over) {
    if (run) {
      InstanceLoad now = measure_load(run->shim, engine_port);
      now.gpu_memory_bytes = co_await parts.gpu.used_by(run_processes(run->shim));
      load = now;
    } else {
      load = {};
    }
    co_await wait(meter_timer, settings.heartbeat_interval);
  }
}

}  // namespace svc::agent
