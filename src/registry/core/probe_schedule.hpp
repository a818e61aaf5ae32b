// When each service is probed next: once per interval, spread evenly over it, with jitter so that restarts and
// equal start times never line up into bursts. One probe of a name at a time: a service that answers slowly must not be
// probed more than others, nor take the places of others.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "common/core/clock.hpp"

namespace svc::registry {

class ProbeSchedule {
 public:
  /// `random` returns uniform 64-bit values. An interval of 0 schedules nothing.
  ProbeSchedule(Duration interval, std::function<std::uint64_t()> random);

  /// A new name is due at a random moment of the first interval; a name already known keeps its time.
  void add(const std::string& name, TimePoint now);
  void remove(const std::string& name);
  /// A changed interval re-plans everything.
  void set_interval(Duration interval, TimePoint now);

  std::optional<TimePoint> next_due() const;
  /// Names that are due, at most `limit`. Each is under way then, also when it is removed meanwhile, until ended().
  std::vector<std::string> take_due(TimePoint now, std::size_t limit);
  /// The probe is over: the next one is due an interval after its beginning, +-10 % jitter, or, when that is past, as long
  /// after its end.
  void ended(const std::string& name, TimePoint now);
  std::size_t size() const;  ///< names known, due or not

 private:
  using Plan = std::multimap<TimePoint, std::string>;

  /// A moment of the coming `span`, uniform.
  TimePoint within(TimePoint now, Duration span);
  void plan(const std::string& name, TimePoint due);
  TimePoint one_interval_after(TimePoint moment);

  Duration interval_;
  std::function<std::uint64_t()> random_;
  Plan plan_;
  std::unordered_map<std::string, Plan::iterator> known_;  ///< plan_.end() while nothing is scheduled
  std::unordered_map<std::string, TimePoint> under_way_;   ///< until ended(); when the next one would be due
};

}  // namespace svc::registry
