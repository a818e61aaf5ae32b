#include "agent/io/instance_impl.hpp"
#include "agent/io/shim/leftovers.hpp"
#include "agent/io/shim/run_cgroup.hpp"
#include "common/core/time_text.hpp"
#include "common/io/port_check.hpp"
#include "common/io/unique_fd.hpp"

namespace svc::agent {
namespace {

using namespace std::chrono_literals;

/// An earlier shim that is not to be kept ends its run within this, and then gives its lock back.
constexpr Duration kLockPatience = 15s;
constexpr std::size_t kExitsKept = 10;

}  // namespace

LaunchOrder Instance::Impl::order() const {
  LaunchOrder order;
  order.name = settings.name;
  order.ranks = commands;
  order.outlive_agent = parts.outlive_agent;
  order.grace = settings.stop_grace;
  order.socket_path = files.socket;
  order.log_file = settings.log_file;
  order.log_max_bytes = parts.log_max_bytes;
  order.log_max_files = parts.log_max_files;
  order.log_max_age = parts.log_max_age;
  order.cgroup_parent = parts.cgroup_parent;
  order.fingerprint = fingerprint;
  return order;
}

ShimHandlers Instance::Impl::handlers() {
  ShimHandlers handlers;
  handlers.on_report = [this](const ShimReport& report) { on_report(report); };
  handlers.on_end = [this](bool clean) { parts.tasks.spawn("end of run", on_end(clean)); };
  return handlers;
}

/// At once, since a stop may be ordered before the task has begun.
void Instance::Impl::begin_launch() {
  ++run_number;
  run.reset();
  first_exit.reset();
  stop_asked.reset();
  shim_killed = false;
  run_lines_lost = 0;
  stranger_told = false;
  tells_requests = true;
  engine_port = settings.port;
  last_line.clear();
  started_text = iso8601(wall_now());
  log.info("starting", {{"service", settings.name},
                        {"command", printable(commands.front().argv)},
                        {"processes", commands.size()},
                        {"log", settings.log_file}});
  shim = std::make_unique<ShimClient>(parts.executor, handlers());
  parts.tasks.spawn("launch", launch());
}

asio::awaitable<void> Instance::Impl::launch() {
  const Result<void> started = co_await shim->launch(files, order(), Deadline::after(steady_now(), kLockPatience));
  if (!started) {
    ExitOutcome outcome;
    outcome.kind = ExitKind::start_failed;
    outcome.last_lines = {started.error().to_string()};
    log.error("the processes could not be started", {{"service", settings.name}, {"reason", outcome.last_lines[0]}});
    shim.reset();
    on_exit(outcome);
    end_run();
  } else if (stop_asked) {
    stop_run(*stop_asked);  // not when the shim says that it has begun: it may hang before that
  }
}

void Instance::Impl::on_report(const ShimReport& report) {
  if (const auto* running = std::get_if<RunReport>(&report)) {
    on_run(*running);
  } else if (const auto* line = std::get_if<LineReport>(&report)) {
    last_line = line->last_line;
    on_log(line->lines_lost, line->log_failing, line->log_stuck);
    if (line->port && *line->port != engine_port && !machine.since_ready()) {
      log.warn("the engine took another port than it was given",
               {{"service", settings.name}, {"given", settings.port}, {"taken", *line->port}});
      engine_port = *line->port;
    }
  } else if (const auto* exit = std::get_if<ExitReport>(&report)) {
    on_exit(exit->outcome);
  } else if (const auto* gone = std::get_if<GoneReport>(&report)) {
    on_log(gone->lines_lost, log_failing_told, log_stuck_told);
    if (gone->killed > 0) {
      log.warn("some processes had to be killed", {{"service", settings.name}, {"killed", gone->killed}});
    }
  }
}

void Instance::Impl::on_log(std::uint64_t lost_in_this_run, bool failing, bool stuck) {
  if (lost_in_this_run > run_lines_lost) {
    log_lines_lost += lost_in_this_run - run_lines_lost;
    run_lines_lost = lost_in_this_run;
  }
  if (!failing && !stuck && (log_failing_told || log_stuck_told)) {
    log.info("the engine's log can be written again",
             {{"service", settings.name}, {"log", settings.log_file}, {"lines_lost", log_lines_lost}});
    log_failing_told = log_stuck_told = false;
  }
  if (stuck && !log_stuck_told && log_stuck_limit.check(steady_now())) {
    log.warn(
        "the disk of the engine's log does not answer: lines wait in memory, what is too much is lost, and counted",
        {{"service", settings.name}, {"log", settings.log_file}});
    log_stuck_told = true;
  }
  if (failing && !log_failing_told && log_failing_limit.check(steady_now())) {
    log.warn("the engine's log cannot be written: its lines are lost, and counted",
             {{"service", settings.name}, {"log", settings.log_file}});
    log_failing_told = true;
  }
}

void Instance::Impl::on_run(const RunReport& running) {
  run = running;
  if (running.port) {
    engine_port = *running.port;
  }
  if (found_run.has_value()) {
    ended.cancel();
    return;  // take_over() decides
  }
  apply(machine.launched(steady_now()));
  parts.tasks.spawn("readiness", await_readiness(run_number));
  parts.tasks.spawn("progress", tell_progress(run_number));
}

void Instance::Impl::on_exit(const ExitOutcome& outcome) {
  if (found_run.has_value()) {
    return;  // an earlier agent's engine, which take_over() has ordered to end
  }
  const InstanceState before = machine.state();
  if (!first_exit && before != InstanceState::stopping && before != InstanceState::unhealthy) {
    log.error("the engine ended", {{"service", settings.name}, {"reason", text_of(outcome)}});
    for (const auto& line : outcome.last_lines) {
      log.info("last output", {{"service", settings.name}, {"line", line}});
    }
  }
  if (!first_exit) {
    first_exit = outcome;
  }
  if (run && static_cast<std::size_t>(outcome.rank) < run->ranks.size()) {
    run->ranks[static_cast<std::size_t>(outcome.rank)] = 0;
  }
  apply(machine.exited(steady_now(), outcome, parts.random()));
}

asio::awaitable<void> Instance::Impl::on_end(bool clean) {
  if (!clean) {
    if (shim_killed) {
      log.info("the run was ended without its shim", {{"service", settings.name}});
    } else {
      log.error("the shim of the service ended unexpectedly; what it leaves behind is killed",
                {{"service", settings.name}});
    }
    co_await ChildWatch::end_strays();
    end_what_is_left();  // of an adopted run nothing is a child of this agent
    const std::string group = run ? run->cgroup : std::string();
    co_await remove_group(group);
  }
  shim.reset();
  run.reset();
  ++run_number;  // watchers of this run end
  for (Timer* timer : {&readiness, &progress, &health, &completions, &stop_watch}) {
    timer->cancel();
  }
  if (found_run.has_value()) {
    found_run = false;
    ended.cancel();
    co_return;
  }
  if (over) {
    co_return;
  }
  if (!clean && !first_exit) {
    ExitOutcome lost;
    lost.kind = ExitKind::lost;
    on_exit(lost);
  }
  end_run();
}

/// A daemon that the run left behind may hold the port, and so keep the next shim, which would end it, from starting.
/// False: a shim has the lock, and ends its run itself.
bool Instance::Impl::end_what_is_left() {
  const auto held = take_lock(files.lock);
  if (!held) {
    return false;
  }
  const UniqueFd run_lock(*held);
  end_leftovers(run_marker(run_lock.get(), settings.name));
  end_old_cgroups(parts.cgroup_parent, settings.name, run_lock.get());
  return true;
}

std::string Instance::Impl::look_at_port() {
  std::string problem = why_port_is_taken(settings.port);
  // Of a run whose agent and shim were both killed. What this agent's own runs leave is ended with them.
  if (!problem.empty() && !port_was_cleared && had_runs(files)) {
    port_was_cleared = end_what_is_left();
    problem = why_port_is_taken(settings.port);
  }
  return problem;
}

void Instance::Impl::end_run() {
  load = {};
  last_exit_at = failed_at.value_or(wall_now());
  failed_at.reset();
  apply(machine.gone(steady_now(), parts.random()));
  if (machine.last_exit()) {
    exits.emplace_front(*last_exit_at, *machine.last_exit());
    ++exit_counts[std::string(word_of(machine.last_exit()->kind))];
    if (exits.size() > kExitsKept) {
      exits.pop_back();
    }
  }
}

}  // namespace svc::agent
