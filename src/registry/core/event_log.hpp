// A bounded log of changes by revision, for watchers.
//
// Revisions are contiguous: each event raises the revision by exactly one, so a watcher can prove that it missed nothing.
// When a watcher asks for changes that have left the log it is told to resync instead: never a silent gap (reliability
// statements R10, R11).
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

namespace svc::registry {

using Revision = std::uint64_t;

enum class EventKind {
  registered,
  updated,
  unregistered,
  removed_stale,
  lease_expired,
  lease_renewed,
  became_unhealthy,
  became_healthy
};
const char* to_string(EventKind kind);

struct Event {
  Revision revision = 0;
  EventKind kind = EventKind::registered;
  std::string name;
  std::string detail;  ///< for the log line, "" when there is nothing to add
};

class EventLog {
 public:
  EventLog(std::size_t capacity, Revision first_revision);

  /// Takes the next revision; returns the event as kept (valid until the next call that is not const).
  const Event& append(EventKind kind, std::string name, std::string detail);

  /// A smaller capacity forgets the oldest events at once. At least one event is always kept.
  void set_capacity(std::size_t capacity);

  Revision revision() const;  ///< of the newest event, or the first revision when there was none

  /// Events after `since`, oldest first; nullopt when `since` is older than the log reaches or lies in the future.
  std::optional<std::vector<const Event*>> after(Revision since) const;

 private:
  void trim();

  std::size_t capacity_;
  Revision revision_;
  std::deque<Event> events_;
};

}  // namespace svc::registry
