#include "registry/io/event_publisher.hpp"

namespace svc::registry {
namespace {

LogLevel level_of(EventKind kind) {
  switch (kind) {
    case EventKind::registered:
    case EventKind::updated:
    case EventKind::unregistered:
    case EventKind::lease_renewed:
    case EventKind::became_healthy: return LogLevel::info;
    case EventKind::removed_stale:
    case EventKind::lease_expired:
    case EventKind::became_unhealthy: return LogLevel::warn;
  }
  return LogLevel::info;
}

}  // namespace

void EventPublisher::publish(std::span<const Event> events) {
  if (events.empty()) {
    return;
  }
  for (const Event& event : events) {
    metrics_.count(event);
    log(event);
    for (const auto& listener : listeners_) {
      listener(event);
    }
  }
  watchers_.wake_all();
}

void EventPublisher::advance(RegistryState& state) {
  const auto events = state.advance(steady_now());
  if (const auto pauses = state.pauses(); pauses != pauses_seen_) {
    metrics_.pauses.add(static_cast<double>(pauses - pauses_seen_));
    pauses_seen_ = pauses;
    log_.warn("this process was stopped for a while: every lease gets a full term from now",
              {{"services", state.size()}});
  }
  publish(events);
}

void EventPublisher::log(const Event& event) {
  const LogLevel level = level_of(event.kind);
  if (!log_.enabled(level)) {
    return;
  }
  const auto pass = limiter_.check(steady_now());
  if (!pass) {
    return;
  }
  const auto kind = std::string("service ") + to_string(event.kind);
  if (pass->suppressed > 0) {
    log_.log(level, kind,
             {{"name", event.name},
              {"revision", event.revision},
              {"detail", event.detail},
              {"lines_held_back", pass->suppressed}});
  } else if (event.detail.empty()) {
    log_.log(level, kind, {{"name", event.name}, {"revision", event.revision}});
  } else {
    log_.log(level, kind, {{"name", event.name}, {"revision", event.revision}, {"detail", event.detail}});
  }
}

}  // namespace svc::registry
