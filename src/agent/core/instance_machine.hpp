// The life of one supervised instance: events in, actions out, in virtual time. Pure; one thread.
//
//   idle -> starting -> running -> (a failure) unhealthy -> backing_off -> starting ...
//   running -> draining -> stopping -> stopped (the end), or -> starting (a restart)
//   unhealthy -> failed at the start limit; a port that somebody else has: port_taken until it is free
//
// An event that has no meaning in the present state is ignored: late reports of a run that is over do no harm.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "agent/core/exit_outcome.hpp"
#include "agent/core/restart_policy.hpp"
#include "common/core/clock.hpp"

namespace svc::agent {

enum class InstanceState : std::uint8_t {
  idle,         ///< nothing was asked for yet
  port_taken,   ///< somebody else listens on the engine's port: looked at again, no start is spent
  starting,     ///< the port is looked at, then processes run; not ready yet
  running,      ///< ready
  unhealthy,    ///< failed (hung, exited, not ready in time): what is left of the run is being ended
  draining,     ///< out of rotation, open requests finish
  stopping,     ///< being ended as asked (a restart, the end)
  backing_off,  ///< waits for the next start
  failed,       ///< gave up: the start limit, or max_restarts
  stopped,      ///< ended for good, as asked
};

/// "running": as in /status and the metrics; each state has its own word.
[[nodiscard]] std::string_view to_string(InstanceState state);
/// What the registry is told: starting, running, unhealthy, draining, stopped or failed.
[[nodiscard]] std::string_view registry_status(InstanceState state);

struct InstanceSettings {
  RestartSettings restart;
  Duration startup_timeout{std::chrono::minutes(30)};
  Duration stop_grace{std::chrono::seconds(10)};
  Duration drain_timeout{std::chrono::seconds(30)};  ///< 0 = stopped at once
  std::int64_t probe_failures = 3;                   ///< 0 = liveness is not watched
  Duration port_retry{std::chrono::seconds(2)};
};

enum class InstanceAction : std::uint8_t {
  check_port,  ///< answer with port_free() or port_busy()
  launch,      ///< start the processes; answer with launched() or exited(start_failed), at the end of all with gone()
  stop,        ///< end them with `grace`; answer with gone(). Also when some, or all, have exited already
  announce,    ///< the state changed: tell the registry at once
  watch,       ///< ready: liveness probes begin
  end,         ///< stopped for good
};

struct DueAction {
  InstanceAction action;
  Duration grace{};

  friend bool operator==(const DueAction&, const DueAction&) = default;
};

class InstanceMachine {
 public:
  explicit InstanceMachine(InstanceSettings settings);

  using Actions = std::vector<DueAction>;

  // Commands.
  Actions start(TimePoint now);
  /// Drain, stop and start again; forgives earlier failures. Without processes it starts at once. Ignored when stopping
  /// for good.
  Actions restart(TimePoint now);
  /// Drain, stop, end. A second one changes nothing.
  Actions shut_down(TimePoint now);
  /// Out of rotation and stays so, the engine keeps running (and is started again when it dies); undone by restart().
  Actions drain(TimePoint now);
  /// An earlier agent's processes were found running and taken over. became_ready() follows when they answer. Instead
  /// of start().
  Actions adopt(TimePoint now);

  // Events.
  Actions port_free(TimePoint now);
  Actions port_busy(TimePoint now);
  Actions launched(TimePoint now);
  Actions became_ready(TimePoint now);
  /// A liveness probe's result; only counted while running or draining.
  Actions probed(TimePoint now, bool alive);
  /// The engine has no open requests (while draining for a stop: no need to wait longer).
  Actions no_open_requests(TimePoint now);
  /// A rank's process ended. The others will be stopped, the first outcome of a run is the one that counts.
  Actions exited(TimePoint now, ExitOutcome outcome, std::uint64_t random);
  /// Every process of the run is gone.
  Actions gone(TimePoint now, std::uint64_t random);
  /// Timers: call when wake_at() has come.
  Actions tick(TimePoint now, std::uint64_t random);
  [[nodiscard]] TimePoint wake_at() const { return wake_at_; }

  [[nodiscard]] InstanceState state() const { return state_; }
  [[nodiscard]] bool ready() const { return state_ == InstanceState::running; }
  /// Draining for a stop: no_open_requests() is of interest. Not while it is only kept out of rotation.
  [[nodiscard]] bool awaits_requests() const { return state_ == InstanceState::draining && ending(); }
  [[nodiscard]] bool processes_exist() const { return processes_; }
  [[nodiscard]] std::int64_t restarts() const { return restart_.restarts(); }
  [[nodiscard]] std::int64_t failures_in_a_row() const { return probe_failures_; }
  /// Of the present run when it has failed, else of the one before.
  [[nodiscard]] const std::optional<ExitOutcome>& last_exit() const { return last_exit_; }
  [[nodiscard]] std::optional<TimePoint> since_start() const { return started_at_; }  ///< of the present run
  [[nodiscard]] std::optional<TimePoint> since_ready() const { return ready_at_; }
  [[nodiscard]] TimePoint state_since() const { return state_since_; }

 private:
  enum class Goal : std::uint8_t { run, stay_drained, restart, end };

  void enter(TimePoint now, InstanceState state, Actions& actions);
  void look_at_port(Actions& actions);
  void begin_start(TimePoint now, Actions& actions);
  void begin_drain(TimePoint now, Actions& actions);
  void stop_as_wanted(TimePoint now, Actions& actions);
  void fail(TimePoint now, ExitOutcome outcome, Actions& actions);
  void end_for_good(TimePoint now, Actions& actions);
  void after_failure(TimePoint now, std::uint64_t random, Actions& actions);
  void begin_run(TimePoint now);
  /// The run is to end, and not to be followed by itself.
  [[nodiscard]] bool ending() const { return goal_ == Goal::restart || goal_ == Goal::end; }
  /// A stop was ordered, gone() is waited for.
  [[nodiscard]] bool stop_ordered() const {
    return state_ == InstanceState::unhealthy || state_ == InstanceState::stopping;
  }

  InstanceSettings settings_;
  RestartPolicy restart_;
  InstanceState state_ = InstanceState::idle;
  Goal goal_ = Goal::run;
  bool looking_at_port_ = false;
  bool processes_ = false;  ///< from the launch on: there is a run whose gone() is to come
  std::int64_t probe_failures_ = 0;
  std::optional<ExitOutcome> run_outcome_;  ///< why the present run ends; the first reason wins
  std::optional<ExitOutcome> last_exit_;
  std::optional<TimePoint> started_at_, ready_at_;
  TimePoint state_since_{};
  TimePoint wake_at_ = TimePoint::max();
};

}  // namespace svc::agent
