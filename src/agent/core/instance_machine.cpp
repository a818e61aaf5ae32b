#include "agent/core/instance_machine.hpp"

#include <utility>

#include "common/core/deadline.hpp"

namespace svc::agent {
namespace {

ExitOutcome outcome_of(ExitKind kind) {
  ExitOutcome outcome;
  outcome.kind = kind;
  return outcome;
}

}  // namespace

std::string_view to_string(InstanceState state) {
  switch (state) {
    case InstanceState::idle: return "idle";
    case InstanceState::port_taken: return "port_taken";
    case InstanceState::starting: return "starting";
    case InstanceState::running: return "running";
    case InstanceState::unhealthy: return "unhealthy";
    case InstanceState::draining: return "draining";
    case InstanceState::stopping: return "stopping";
    case InstanceState::backing_off: return "backing_off";
    case InstanceState::failed: return "failed";
    case InstanceState::stopped: return "stopped";
  }
  return "";
}

std::string_view registry_status(InstanceState state) {
  switch (state) {
    case InstanceState::idle:
    case InstanceState::starting: return "starting";
    case InstanceState::running: return "running";
    case InstanceState::port_taken:
    case InstanceState::unhealthy:
    case InstanceState::backing_off: return "unhealthy";
    case InstanceState::draining:
    case InstanceState::stopping: return "draining";
    case InstanceState::failed: return "failed";
    case InstanceState::stopped: return "stopped";
  }
  return "";
}

InstanceMachine::InstanceMachine(InstanceSettings settings) : settings_(settings), restart_(settings.restart) {}

void InstanceMachine::enter(TimePoint now, InstanceState state, Actions& actions) {
  wake_at_ = TimePoint::max();
  if (state == state_) return;
  state_ = state;
  state_since_ = now;
  actions.push_back({InstanceAction::announce});
}

void InstanceMachine::look_at_port(Actions& actions) {
  wake_at_ = TimePoint::max();
  if (std::exchange(looking_at_port_, true)) return;
  actions.push_back({InstanceAction::check_port});
}

void InstanceMachine::begin_start(TimePoint now, Actions& actions) {
  enter(now, InstanceState::starting, actions);
  look_at_port(actions);
}

void InstanceMachine::begin_run(TimePoint now) {
  processes_ = true;
  started_at_ = now;
  wake_at_ = Deadline::after(now, settings_.startup_timeout).when();
}

void InstanceMachine::begin_drain(TimePoint now, Actions& actions) {
  if (settings_.drain_timeout <= Duration::zero()) return stop_as_wanted(now, actions);
  enter(now, InstanceState::draining, actions);
  wake_at_ = Deadline::after(now, settings_.drain_timeout).when();
}

void InstanceMachine::stop_as_wanted(TimePoint now, Actions& actions) {
  if (!run_outcome_) run_outcome_ = outcome_of(ExitKind::stopped);
  enter(now, InstanceState::stopping, actions);
  actions.push_back({InstanceAction::stop, settings_.stop_grace});
}

void InstanceMachine::fail(TimePoint now, ExitOutcome outcome, Actions& actions) {
  run_outcome_ = std::move(outcome);
  last_exit_ = run_outcome_;
  enter(now, InstanceState::unhealthy, actions);
  actions.push_back({InstanceAction::stop, settings_.stop_grace});
}

void InstanceMachine::end_for_good(TimePoint now, Actions& actions) {
  looking_at_port_ = false;
  enter(now, InstanceState::stopped, actions);
  actions.push_back({InstanceAction::end});
}

InstanceMachine::Actions InstanceMachine::start(TimePoint now) {
  Actions actions;
  if (state_ == InstanceState::idle) begin_start(now, actions);
  return actions;
}

InstanceMachine::Actions InstanceMachine::adopt(TimePoint now) {
  Actions actions;
  if (state_ != InstanceState::idle) return actions;
  enter(now, InstanceState::starting, actions);
  begin_run(now);
  return actions;
}

InstanceMachine::Actions InstanceMachine::restart(TimePoint now) {
  Actions actions;
  if (goal_ == Goal::end) return actions;
  restart_.forgive();
  if (!processes_) {
    goal_ = Goal::run;
    if (state_ == InstanceState::port_taken) {
      look_at_port(actions);
    } else {
      begin_start(now, actions);
    }
    return actions;
  }
  const Goal before = std::exchange(goal_, Goal::restart);
  if (stop_ordered() || before == Goal::restart) return actions;
  if (state_ == InstanceState::starting) {
    stop_as_wanted(now, actions);
  } else {
    begin_drain(now, actions);
  }
  return actions;
}

InstanceMachine::Actions InstanceMachine::shut_down(TimePoint now) {
  Actions actions;
  const Goal before = std::exchange(goal_, Goal::end);
  if (before == Goal::end) return actions;
  if (!processes_) {
    end_for_good(now, actions);
  } else if (state_ == InstanceState::starting) {
    stop_as_wanted(now, actions);
  } else if (!stop_ordered() && before != Goal::restart) {  // else a drain or a stop is under way already
    begin_drain(now, actions);
  }
  return actions;
}

InstanceMachine::Actions InstanceMachine::drain(TimePoint now) {
  Actions actions;
  if (ending()) return actions;
  goal_ = Goal::stay_drained;
  if (state_ == InstanceState::running) enter(now, InstanceState::draining, actions);
  return actions;
}

InstanceMachine::Actions InstanceMachine::port_free(TimePoint now) {
  Actions actions;
  if (!std::exchange(looking_at_port_, false)) return actions;
  enter(now, InstanceState::starting, actions);
  begin_run(now);
  actions.push_back({InstanceAction::launch});
  return actions;
}

InstanceMachine::Actions InstanceMachine::port_busy(TimePoint now) {
  Actions actions;
  if (!std::exchange(looking_at_port_, false)) return actions;
  enter(now, InstanceState::port_taken, actions);
  wake_at_ = Deadline::after(now, settings_.port_retry).when();
  return actions;
}

InstanceMachine::Actions InstanceMachine::launched(TimePoint now) {
  if (state_ == InstanceState::starting && processes_) started_at_ = now;
  return {};
}

InstanceMachine::Actions InstanceMachine::became_ready(TimePoint now) {
  Actions actions;
  if (state_ != InstanceState::starting || !processes_) return actions;
  ready_at_ = now;
  restart_.became_ready(now);
  enter(now, goal_ == Goal::stay_drained ? InstanceState::draining : InstanceState::running, actions);
  actions.push_back({InstanceAction::watch});
  return actions;
}

InstanceMachine::Actions InstanceMachine::probed(TimePoint now, bool alive) {
  Actions actions;
  if (state_ != InstanceState::running && state_ != InstanceState::draining) return actions;
  probe_failures_ = alive ? 0 : probe_failures_ + 1;
  if (settings_.probe_failures > 0 && probe_failures_ >= settings_.probe_failures) {
    fail(now, outcome_of(ExitKind::hung), actions);
  }
  return actions;
}

InstanceMachine::Actions InstanceMachine::no_open_requests(TimePoint now) {
  Actions actions;
  if (state_ == InstanceState::draining && ending()) stop_as_wanted(now, actions);
  return actions;
}

InstanceMachine::Actions InstanceMachine::exited(TimePoint now, ExitOutcome outcome, std::uint64_t /*random*/) {
  Actions actions;
  if (!processes_) return actions;
  if (stop_ordered()) {
    // The output tells why it was slow or hung, whatever the process said at its end.
    if (run_outcome_ && run_outcome_->last_lines.empty()) run_outcome_->last_lines = std::move(outcome.last_lines);
    if (last_exit_ && state_ == InstanceState::unhealthy) last_exit_ = run_outcome_;
    return actions;
  }
  if (ending()) {
    run_outcome_ = std::move(outcome);
    stop_as_wanted(now, actions);
  } else {
    fail(now, std::move(outcome), actions);
  }
  return actions;
}

InstanceMachine::Actions InstanceMachine::gone(TimePoint now, std::uint64_t random) {
  Actions actions;
  if (!std::exchange(processes_, false)) return actions;
  last_exit_ = run_outcome_.value_or(outcome_of(ExitKind::lost));
  run_outcome_.reset();
  started_at_.reset();
  ready_at_.reset();
  probe_failures_ = 0;
  switch (goal_) {
    case Goal::end: end_for_good(now, actions); break;
    case Goal::restart:
      goal_ = Goal::run;
      restart_.ended();
      begin_start(now, actions);
      break;
    case Goal::run:
    case Goal::stay_drained: after_failure(now, random, actions); break;
  }
  return actions;
}

void InstanceMachine::after_failure(TimePoint now, std::uint64_t random, Actions& actions) {
  const auto wait = restart_.failed(now, random);
  if (!wait) {
    enter(now, InstanceState::failed, actions);
  } else if (*wait <= Duration::zero()) {
    begin_start(now, actions);
  } else {
    enter(now, InstanceState::backing_off, actions);
    wake_at_ = Deadline::after(now, *wait).when();
  }
}

InstanceMachine::Actions InstanceMachine::tick(TimePoint now, std::uint64_t /*random*/) {
  Actions actions;
  if (now < wake_at_) return actions;
  switch (state_) {
    case InstanceState::port_taken: look_at_port(actions); break;
    case InstanceState::backing_off: begin_start(now, actions); break;
    case InstanceState::starting: fail(now, outcome_of(ExitKind::start_timeout), actions); break;
    case InstanceState::draining: stop_as_wanted(now, actions); break;
    case InstanceState::idle:
    case InstanceState::running:
    case InstanceState::unhealthy:
    case InstanceState::stopping:
    case InstanceState::failed:
    case InstanceState::stopped: wake_at_ = TimePoint::max(); break;  // they set no timer
  }
  return actions;
}

}  // namespace svc::agent
