#include "agent/io/instance.hpp"

#include <algorithm>

#include "agent/io/instance_impl.hpp"
#include "common/core/duration_text.hpp"
#include "common/core/time_text.hpp"

namespace svc::agent {
namespace {

InstanceSettings machine_settings(const ServiceSettings& s) {
  InstanceSettings settings;
  settings.restart.constant_delay = s.restart_delay;
  settings.restart.backoff = {s.restart_backoff_first, s.restart_backoff_max, 2.0};
  settings.restart.healthy_after = s.healthy_after;
  settings.restart.start_limit = s.start_limit;
  settings.restart.start_limit_interval = s.start_limit_interval;
  settings.restart.max_restarts = s.max_restarts;
  settings.startup_timeout = s.startup_timeout;
  settings.stop_grace = s.stop_grace;
  settings.drain_timeout = s.drain_timeout;
  settings.probe_failures = s.probe_failures;
  return settings;
}

/// Of what an adopted engine was started with: another command line means another engine.
std::string fingerprint_of(const std::vector<RankCommand>& commands) {
  std::string text;
  for (const auto& command : commands) {
    text.append(command.work_dir).append("\n").append(printable(command.argv)).append("\n");
    for (const auto& [name, value] : command.env) {
      text.append(name).append("=").append(value).append("\n");
    }
  }
  return text;
}

}  // namespace

Instance::Impl::Impl(AgentParts& shared, ServiceSettings configured)
    : parts(shared),
      settings(std::move(configured)),
      files(parts.state_dir, settings.name),
      machine(machine_settings(settings)),
      log("instance"),
      engine_port(settings.port),
      started_text(iso8601(wall_now())),
      agent_started(wall_now()),
      began(steady_now()),
      own_entry(parts.executor, parts.registry, parts.random, settings.registry_url, parts.registry_token,
                settings.name, settings.heartbeat_interval,
                {[this] { return agent_registration(settings, facts()); },
                 [this] { return heartbeat_body(status(), load); }}),
      engine_entry(parts.executor, parts.registry, parts.random, settings.registry_url, parts.registry_token,
                   engine_entry_name(settings.name), settings.heartbeat_interval,
                   {[this] { return engine_registration(settings, facts(), models); },
                    [this] { return heartbeat_body(status(), load); }}),
      tick(parts.executor),
      readiness(parts.executor),
      progress(parts.executor),
      health(parts.executor),
      completions(parts.executor),
      requests(parts.executor),
      meter_timer(parts.executor),
      stop_watch(parts.executor),
      ended(parts.executor, Timer::time_point::max()) {}

Result<void> Instance::Impl::prepare() {
  auto lines = command_lines(settings);
  if (!lines) {
    return lines.error();
  }
  commands = *std::move(lines);
  fingerprint = fingerprint_of(commands);
  auto taken = AgentLock::take(files);
  if (!taken) {
    return taken.error();
  }
  lock = *std::move(taken);
  return {};
}

asio::awaitable<void> Instance::Impl::keep_time() {
  while (!over) {
    tick.expires_at(machine.wake_at());
    co_await tick.async_wait(kTok);
    if (!over && steady_now() >= machine.wake_at()) {
      apply(machine.tick(steady_now(), parts.random()));
    }
  }
}

void Instance::Impl::apply(const InstanceMachine::Actions& actions) {
  for (const auto& due : actions) {
    switch (due.action) {
      case InstanceAction::check_port:
        port_problem = look_at_port();
        apply(port_problem.empty() ? machine.port_free(steady_now()) : machine.port_busy(steady_now()));
        break;
      case InstanceAction::launch: begin_launch(); break;
      case InstanceAction::stop: stop_run(due.grace); break;
      case InstanceAction::announce: announce(); break;
      case InstanceAction::watch:
        parts.tasks.spawn("health", watch_health(run_number));
        parts.tasks.spawn("completions", watch_completions(run_number));
        break;
      case InstanceAction::end:
        over = true;
        ended.cancel();
        break;
    }
  }
  // The machine's next time, and whether it waits for requests to end, may have changed.
  tick.cancel();
  requests.cancel();
}

void Instance::Impl::stop_run(Duration grace) {
  stop_asked = grace;
  if (shim != nullptr && shim->shim_pid() != 0) {
    shim->stop(grace);
    parts.tasks.spawn("watch of the stop", watch_stop(run_number, grace));
  }
}

void Instance::Impl::announce() {
  say_state();
  if (machine.state() == InstanceState::draining) {
    parts.tasks.spawn("open requests", watch_requests(++drains));
  }
  if (machine.state() == InstanceState::unhealthy) {
    failed_at = wall_now();
  }
  if (machine.state() == InstanceState::stopped) {
    return;  // both names are withdrawn next
  }
  own_entry.want();  // its metadata tell of the state and the last exit
  if (machine.ready()) {
    was_ready = true;
    engine_entry.want();
  } else if (was_ready) {
    engine_entry.hurry();  // routers take a new registration for a new instance, a status alone is none
  }
  if (changed) {
    changed(*self);
  }
}

void Instance::Impl::say_state() const {
  const InstanceState state = machine.state();
  const std::string why = machine.last_exit() ? text_of(*machine.last_exit()) : std::string();
  switch (state) {
    case InstanceState::port_taken:
      log.error("not started: " + port_problem + "; it is looked at again and again, and no start is spent on it",
                {{"service", settings.name}});
      break;
    case InstanceState::running:
      log.info("ready", {{"service", settings.name}, {"port", engine_port}, {"models", models.ids.size()}});
      break;
    case InstanceState::unhealthy:
      log.error("the engine does not work any more", {{"service", settings.name}, {"reason", why}});
      break;
    case InstanceState::backing_off:
      log.warn("waits before the next start",
               {{"service", settings.name},
                {"last_exit", why},
                {"for", format_duration(
                            std::chrono::duration_cast<std::chrono::milliseconds>(machine.wake_at() - steady_now()))},
                {"restarts", machine.restarts()}});
      break;
    case InstanceState::failed:
      log.error("gave up: too many failures in a short time; POST /restart tries again",
                {{"service", settings.name}, {"last_exit", why}});
      break;
    case InstanceState::starting: break;  // launch() says it, with the command
    default: log.info(to_string(state), {{"service", settings.name}}); break;
  }
}

InstanceFacts Instance::Impl::facts() const {
  InstanceFacts facts;
  facts.status = status();
  facts.started_at = started_text;
  facts.engine_port = engine_port;
  facts.last_exit = machine.last_exit();
  facts.restarts = machine.restarts();
  if (const auto at = failed_at ? failed_at : last_exit_at; at && facts.last_exit) {
    facts.last_exit_at = iso8601(*at);
  }
  return facts;
}

asio::awaitable<void> Instance::Impl::wait(Timer& timer, Duration time) {
  timer.expires_after(time);
  co_await timer.async_wait(kTok);
}

Instance::Instance(AgentParts& parts, ServiceSettings settings)
    : impl_(std::make_unique<Impl>(parts, std::move(settings))) {
  impl_->self = this;
}

Instance::~Instance() = default;

Result<void> Instance::prepare() { return impl_->prepare(); }

void Instance::start() {
  auto& tasks = impl_->parts.tasks;
  if (had_runs(impl_->files)) {
    // Of an agent that was killed both names may be there still, and this one may end before it registers them anew.
    impl_->own_entry.assume_enrolled();
    impl_->engine_entry.assume_enrolled();
  }
  impl_->own_entry.start(tasks);
  impl_->engine_entry.start(tasks);
  tasks.spawn("timers", impl_->keep_time());
  tasks.spawn("load", impl_->meter());
  impl_->taking_over = true;  // from now on: a stop waits until it is known whether something ran already
  tasks.spawn("begin", impl_->begin());
}

void Instance::drain() { impl_->apply(impl_->machine.drain(steady_now())); }

void Instance::reopen_log() {
  if (impl_->shim != nullptr) {
    impl_->shim->reopen_log();
  }
}

void Instance::set_registry_token(const std::string& token) {
  impl_->own_entry.set_token(token);
  impl_->engine_entry.set_token(token);
}

const ServiceSettings& Instance::settings() const { return impl_->settings; }
bool Instance::failed_for_good() const { return impl_->machine.state() == InstanceState::failed; }
void Instance::on_change(std::function<void(const Instance&)> callback) { impl_->changed = std::move(callback); }

}  // namespace svc::agent
