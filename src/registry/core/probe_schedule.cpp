#include "registry/core/probe_schedule.hpp"

#include <utility>

namespace svc::registry {

ProbeSchedule::ProbeSchedule(Duration interval, std::function<std::uint64_t()> random)
    : interval_(interval), random_(std::move(random)) {}

TimePoint ProbeSchedule::within(TimePoint now, Duration span) {
  constexpr double kTwoTo64 = 18446744073709551616.0;
  const double fraction = static_cast<double>(random_()) / kTwoTo64;
  return now + Duration(static_cast<Duration::rep>(fraction * static_cast<double>(span.count())));
}

void ProbeSchedule::plan(const std::string& name, TimePoint due) { known_[name] = plan_.emplace(due, name); }

TimePoint ProbeSchedule::one_interval_after(TimePoint moment) {
  return within(moment + interval_ - interval_ / 10, interval_ / 5);
}

void ProbeSchedule::add(const std::string& name, TimePoint now) {
  if (known_.contains(name)) return;
  if (interval_ <= Duration::zero() || under_way_.contains(name)) {
    known_.emplace(name, plan_.end());
  } else {
    plan(name, within(now, interval_));
  }
}

void ProbeSchedule::remove(const std::string& name) {
  const auto found = known_.find(name);
  if (found == known_.end()) return;
  if (found->second != plan_.end()) plan_.erase(found->second);
  known_.erase(found);
}

void ProbeSchedule::set_interval(Duration interval, TimePoint now) {
  if (interval == interval_) return;
  interval_ = interval;
  plan_.clear();
  for (auto& [name, next] : under_way_) next = now;
  for (auto& [name, place] : known_) {
    place = interval_ > Duration::zero() && !under_way_.contains(name) ? plan_.emplace(within(now, interval_), name)
                                                                       : plan_.end();
  }
}

std::optional<TimePoint> ProbeSchedule::next_due() const {
  if (plan_.empty()) return std::nullopt;
  return plan_.begin()->first;
}

std::vector<std::string> ProbeSchedule::take_due(TimePoint now, std::size_t limit) {
  std::vector<std::string> due;
  while (due.size() < limit && !plan_.empty() && plan_.begin()->first <= now) {
    due.push_back(plan_.begin()->second);
    plan_.erase(plan_.begin());
    known_[due.back()] = plan_.end();
    // Counted from now, not from the due time: a scheduler that fell behind must not answer with a burst.
    under_way_[due.back()] = one_interval_after(now);
  }
  return due;
}

void ProbeSchedule::ended(const std::string& name, TimePoint now) {
  const auto probe = under_way_.extract(name);
  if (probe.empty() || !known_.contains(name) || interval_ <= Duration::zero()) return;
  plan(name, probe.mapped() > now ? probe.mapped() : one_interval_after(now));
}

std::size_t ProbeSchedule::size() const { return known_.size(); }

}  // namespace svc::registry
