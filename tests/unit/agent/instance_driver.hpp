// An InstanceMachine in virtual time, its actions as text: "announce stop(10s)".
#pragma once

#include <string>

#include "agent/core/instance_machine.hpp"
#include "common/core/duration_text.hpp"

namespace svc::agent::test {

using namespace std::chrono_literals;

inline ExitOutcome outcome(ExitKind kind, int value = 0, std::vector<std::string> lines = {}) {
  return ExitOutcome{kind, value, false, 0, std::move(lines)};
}

inline std::string_view name_of(InstanceAction action) {
  switch (action) {
    case InstanceAction::check_port: return "check_port";
    case InstanceAction::launch: return "launch";
    case InstanceAction::stop: return "stop";
    case InstanceAction::announce: return "announce";
    case InstanceAction::watch: return "watch";
    case InstanceAction::end: return "end";
  }
  return "";
}

inline std::string text_of(const InstanceMachine::Actions& actions) {
  std::string text;
  for (const auto& due : actions) {
    text.append(text.empty() ? "" : " ").append(name_of(due.action));
    if (due.action == InstanceAction::stop) text.append("(" + format_duration(due.grace) + ")");
  }
  return text;
}

/// Defaults but for short times that differ from each other.
inline InstanceSettings short_times() {
  InstanceSettings settings;
  settings.startup_timeout = 60s;
  settings.stop_grace = 10s;
  settings.drain_timeout = 30s;
  settings.port_retry = 2s;
  settings.restart.constant_delay = 5s;
  return settings;
}

class Driver {
 public:
  explicit Driver(InstanceSettings settings = short_times()) : machine(settings) {}

  std::string start() { return text_of(machine.start(now)); }
  std::string restart() { return text_of(machine.restart(now)); }
  std::string shut_down() { return text_of(machine.shut_down(now)); }
  std::string drain() { return text_of(machine.drain(now)); }
  std::string adopt() { return text_of(machine.adopt(now)); }
  std::string port_free() { return text_of(machine.port_free(now)); }
  std::string port_busy() { return text_of(machine.port_busy(now)); }
  std::string launched() { return text_of(machine.launched(now)); }
  std::string became_ready() { return text_of(machine.became_ready(now)); }
  /// Probes in a row: '+' is a good one, '-' a bad one.
  std::string probes(std::string_view results) {
    std::string text;
    for (const char result : results) text += text_of(machine.probed(now, result == '+'));
    return text;
  }
  std::string no_open_requests() { return text_of(machine.no_open_requests(now)); }
  std::string exited(ExitOutcome o = outcome(ExitKind::signalled, 9)) {
    return text_of(machine.exited(now, std::move(o), kRandom));
  }
  std::string gone() { return text_of(machine.gone(now, kRandom)); }
  std::string tick() { return text_of(machine.tick(now, kRandom)); }
  /// Virtual time jumps to the machine's next timer.
  std::string tick_at_wake() {
    now = machine.wake_at();
    return tick();
  }
  std::string_view state() const { return to_string(machine.state()); }

  // Ways to a situation.
  void to_running() {
    start();
    port_free();
    launched();
    became_ready();
  }
  void to_failed() {
    start();
    for (port_free(); machine.state() != InstanceState::failed;) {
      exited();
      gone();
      if (machine.state() == InstanceState::backing_off) tick_at_wake();
      port_free();
    }
  }

  static constexpr std::uint64_t kRandom = ~std::uint64_t{0};
  TimePoint now{1000s};
  InstanceMachine machine;
};

}  // namespace svc::agent::test
