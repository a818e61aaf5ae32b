// Inside of Instance, shared by its source files.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/core/command_line.hpp"
#include "agent/core/instance_machine.hpp"
#include "agent/io/instance.hpp"
#include "agent/io/load_meter.hpp"
#include "agent/io/run_end.hpp"
#include "common/io/log.hpp"
#include "common/io/log_limit.hpp"

namespace svc::agent {

struct Instance::Impl {
  Impl(AgentParts& shared, ServiceSettings configured);

  // -- the machine (instance.cpp)
  Result<void> prepare();
  asio::awaitable<void> keep_time();  ///< ticks the machine
  void apply(const InstanceMachine::Actions& actions);
  void announce();
  void stop_run(Duration grace);
  void say_state() const;

  // -- the run of one shim (instance_run.cpp)
  void begin_launch();
  asio::awaitable<void> launch();
  LaunchOrder order() const;
  ShimHandlers handlers();
  void on_report(const ShimReport& report);
  void on_run(const RunReport& run);
  void on_exit(const ExitOutcome& outcome);
  void on_log(std::uint64_t lost_in_this_run, bool failing, bool stuck);
  asio::awaitable<void> on_end(bool clean);
  bool end_what_is_left();
  /// Why the service's port cannot be had; "" = it can.
  std::string look_at_port();
  /// A stop was ordered: the shim may not hear it, or not bring it about.
  asio::awaitable<void> watch_stop(std::uint64_t number, Duration grace);
  /// An earlier agent's run whose shim is silent, as asked to the end.
  asio::awaitable<void> end_silent_run();
  std::optional<RunIdentity> identity() const;
  asio::awaitable<void> kill(RunIdentity of, std::function<bool()> is_present);
  void end_run();

  // -- what an earlier agent left (instance_takeover.cpp)
  asio::awaitable<void> begin();  ///< adopts or starts
  /// Takes over what runs; true when it was, false when nothing is left of it.
  asio::awaitable<bool> take_over();
  asio::awaitable<bool> attach();

  // -- what is asked of the engine while it runs (instance_watch.cpp)
  asio::awaitable<void> await_readiness(std::uint64_t number);
  bool answers_itself();
  bool to_be_alive(std::uint64_t number) const;
  void say_key_is_wrong(const Error& reason) const;
  asio::awaitable<void> tell_progress(std::uint64_t number);
  asio::awaitable<void> watch_health(std::uint64_t number);
  asio::awaitable<void> watch_completions(std::uint64_t number);
  asio::awaitable<void> watch_requests(std::uint64_t number);
  bool has_open_requests();
  asio::awaitable<std::optional<std::uint64_t>> gpu_memory();
  asio::awaitable<void> ask_for_requests(InstanceLoad& now);
  asio::awaitable<void> meter();
  void probed(bool alive, const std::string& why);
  void say_not_asked(const std::string& why) const;

  // -- the registry (instance.cpp)
  InstanceFacts facts() const;
  std::string status() const { return std::string(registry_status(machine.state())); }
  EngineAccess engine() const { return {settings.host, engine_port, engine_key}; }

  bool present(std::uint64_t number) const { return number == run_number && !over; }
  /// Also of an earlier agent's run: this instance ends after that.
  bool end_awaited(std::uint64_t number) const { return number == run_number && (!over || taking_over); }
  asio::awaitable<void> wait(Timer& timer, Duration time);

  AgentParts& parts;
  ServiceSettings settings;
  std::vector<RankCommand> commands;
  std::string fingerprint;
  RunFiles files;
  std::optional<AgentLock> lock;
  InstanceMachine machine;
  Logger log;
  std::function<void(const Instance&)> changed;
  const Instance* self = nullptr;

  std::unique_ptr<ShimClient> shim;
  std::optional<ProcessFacts> silent_shim;  ///< of an earlier agent, while it does not answer
  std::uint64_t run_number = 0;             ///< a watcher of an earlier run ends by it
  std::uint64_t drains = 0;                 ///< a watcher of an earlier drain likewise
  std::optional<RunReport> run;
  std::optional<ExitOutcome> first_exit;  ///< of the present run, as the shim told it
  std::optional<Duration> stop_asked;     ///< of the present run; it may come before the shim is there
  bool shim_killed = false;               ///< of the present run, by this agent
  bool taking_over = false;
  bool port_was_cleared = false;  ///< of what earlier runs left
  bool restart_asked = false;     ///< while taking over
  std::optional<bool> found_run;  ///< take_over: the first report came (true), or the shim ended (false)
  std::uint16_t engine_port = 0;
  std::string engine_key;  ///< secret
  ModelList models;
  bool stranger_told = false;  ///< in the present run
  bool tells_requests = true;  ///< in the present run: the engine's metrics page has not been found to be missing
  bool was_ready = false;      ///< since the agent began: the engine's entry exists
  InstanceLoad load;
  std::string last_line, port_problem, started_text;
  std::deque<std::pair<WallTime, ExitOutcome>> exits;
  std::map<std::string, std::uint64_t, std::less<>> exit_counts;
  std::optional<WallTime> failed_at;     ///< the present run has failed
  std::optional<WallTime> last_exit_at;  ///< of the run before
  std::uint64_t log_lines_lost = 0;      ///< of all runs
  std::uint64_t run_lines_lost = 0;      ///< of the present one, as its shim tells it
  bool log_failing_told = false, log_stuck_told = false;
  LogLimiter log_failing_limit{1, 0.1}, log_stuck_limit{1, 0.1};
  const WallTime agent_started;
  const TimePoint began;
  InstanceState said = InstanceState::idle;

  RegistryLink own_entry, engine_entry;
  Timer tick, readiness, progress, health, completions, requests, meter_timer, stop_watch, ended;
  bool over = false;  ///< the machine has ended, or the instance was abandoned
};

}  // namespace svc::agent
