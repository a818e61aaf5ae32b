// Ending a group of processes for certain, as timed actions in virtual time: TERM to every rank in reverse order,
// grace, KILL to everything that descends from them, again and again until nothing is left.
#pragma once

#include <cstddef>
#include <cstdint>

#include "common/core/clock.hpp"

namespace svc::agent {

enum class StopAction : std::uint8_t {
  none,
  terminate,  ///< SIGTERM to each rank's process group, highest rank first
  kill,       ///< SIGKILL to all that is left: groups, descendants, cgroup
  gone,       ///< nothing is left: the end (given once)
};

class StopSequence {
 public:
  [[nodiscard]] bool begun() const { return phase_ != Phase::idle; }

  /// Begins, or shortens a stop in progress (a longer grace than what is left changes nothing). Grace 0 kills at once.
  void begin(TimePoint now, Duration grace);
  /// What is due. `alive`: processes that are left, zombies not counted. Before begin(): none. TERM is due once; KILL
  /// once at the end of the grace (or as soon as every rank's own process has ended, `ranks_alive` == 0, while others
  /// are left: orphans get kOrphanGrace), then again every kKillAgain while something is left. gone only when
  /// alive == 0.
  [[nodiscard]] StopAction next(TimePoint now, std::size_t alive, std::size_t ranks_alive);
  /// When to look again at the latest; TimePoint::max() before begin() and after gone.
  [[nodiscard]] TimePoint wake_at() const { return wake_at_; }

  static constexpr Duration kOrphanGrace{std::chrono::milliseconds(500)};
  static constexpr Duration kKillAgain{std::chrono::milliseconds(50)};

 private:
  enum class Phase : std::uint8_t { idle, asked, terminating, killing, over };
  Phase phase_ = Phase::idle;
  TimePoint kill_at_ = TimePoint::max();  ///< the first time, later the next
  TimePoint wake_at_ = TimePoint::max();
};

}  // namespace svc::agent
