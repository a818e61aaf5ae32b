#include "registry/core/event_log.hpp"

#include <algorithm>
#include <utility>

namespace svc::registry {

const char* to_string(EventKind kind) {
  switch (kind) {
    case EventKind::registered: return "registered";
    case EventKind::updated: return "updated";
    case EventKind::unregistered: return "unregistered";
    case EventKind::removed_stale: return "removed_stale";
    case EventKind::lease_expired: return "lease_expired";
    case EventKind::lease_renewed: return "lease_renewed";
    case EventKind::became_unhealthy: return "became_unhealthy";
    case EventKind::became_healthy: return "became_healthy";
  }
  return "unknown";
}

EventLog::EventLog(std::size_t capacity, Revision first_revision)
    : capacity_(std::max<std::size_t>(capacity, 1)), revision_(first_revision) {}

const Event& EventLog::append(EventKind kind, std::string name, std::string detail) {
  events_.push_back(Event{++revision_, kind, std::move(name), std::move(detail)});
  trim();
  return events_.back();
}

void EventLog::set_capacity(std::size_t capacity) {
  capacity_ = std::max<std::size_t>(capacity, 1);
  trim();
}

void EventLog::trim() {
  while (events_.size() > capacity_) events_.pop_front();
}

Revision EventLog::revision() const { return revision_; }

std::optional<std::vector<const Event*>> EventLog::after(Revision since) const {
  if (since > revision_) return std::nullopt;
  const Revision wanted = revision_ - since;  // contiguous, so this many events came after `since`
  if (wanted > events_.size()) return std::nullopt;
  std::vector<const Event*> result;
  result.reserve(static_cast<std::size_t>(wanted));
  for (std::size_t i = events_.size() - static_cast<std::size_t>(wanted); i < events_.size(); ++i) {
    result.push_back(&events_[i]);
  }
  return result;
}

}  // namespace svc::registry
