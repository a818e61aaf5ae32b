// When an agent's start is over, and what to say of its services in one line, for a service manager (systemd).
//
// Over: each service's engine is registered, or what is missing is not for the agent to mend: the service has failed for
// good, or it has waited kPatience for somebody else (the registry, the owner of its port, the one who drained it). An
// engine that loads, or that is started again and again, is waited for. Pure; one thread.
#pragma once

#include <string>
#include <vector>

#include "agent/core/instance_machine.hpp"
#include "common/core/clock.hpp"

namespace svc::agent {

struct StartFacts {
  std::string name;
  InstanceState state = InstanceState::idle;
  Duration state_for{};
  bool has_registry = false;
  bool registered = false;  ///< NAME-server
};

struct StartReport {
  static constexpr Duration kPatience{std::chrono::seconds(30)};

  bool over = false;
  /// "2 of 3 services in service; gpu3: starting", "... ; gpu3: running, not registered".
  std::string text;
};

[[nodiscard]] StartReport report_start(const std::vector<StartFacts>& services);

}  // namespace svc::agent
