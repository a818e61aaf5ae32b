// What the pages and metrics of a service need of its Instance: a snapshot, and the two things that may be asked of it.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/core/exit_outcome.hpp"
#include "agent/core/registration.hpp"
#include "agent/core/service_settings.hpp"
#include "agent/io/engine_access.hpp"
#include "common/core/clock.hpp"

namespace svc::agent {

/// A snapshot for pages, metrics and logs.
struct InstanceView {
  std::string name, service_type, host, state, status;
  std::uint16_t port = 0;         ///< configured
  std::uint16_t engine_port = 0;  ///< the one the engine took
  bool ready = false;
  bool processes = false;
  std::vector<pid_t> pids;
  pid_t shim = 0;
  std::int64_t restarts = 0;
  Duration state_for{}, up_for{}, ready_for{};                    ///< 0 = not
  std::vector<std::pair<WallTime, ExitOutcome>> exits;            ///< the last 10, newest first
  std::map<std::string, std::uint64_t, std::less<>> exit_counts;  ///< all exits since the agent began, by word_of(kind)
  std::string last_line;
  ModelList models;
  InstanceLoad load;
  bool registered = false, engine_registered = false;
  std::int64_t probe_failures = 0;
  std::uint64_t log_lines_lost = 0;
  std::string log_file;
  WallTime agent_started{};
};

/// One thread. Nothing of it takes values from the one who asks: over HTTP a service can be restarted and drained, and that is all.
class InstancePages {
 public:
  virtual ~InstancePages() = default;
  [[nodiscard]] virtual const ServiceSettings& settings() const = 0;
  [[nodiscard]] virtual InstanceView view() const = 0;
  /// Where and as whom the engine is asked; apart from the view, which is shown to people.
  [[nodiscard]] virtual EngineAccess engine() const = 0;
  virtual void restart() = 0;  ///< POST /restart
  virtual void drain() = 0;    ///< POST /drain
};

}  // namespace svc::agent
