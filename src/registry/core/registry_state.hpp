// The registry's whole state and every rule about it: who is registered, whose lease is alive, who is probed unhealthy,
// which revision that is, and what may be removed.
//
// Pure and single-threaded: every call takes `now`; nothing here waits, logs, reads a clock or touches a disk.
//
// Durable changes take two steps, so that nothing is visible (or acknowledged) before it is stored:
//   plan_*()  checks a command against the state and returns the Change that would carry it out, or a client error;
//   apply()   carries out a Change that the store has accepted.
// The caller keeps at most one Change per name in flight. Heartbeats and probe results are not durable and act at once.
//
// Time: every call that is not const observes `now` and so notices a pause of the process; advance() alone turns leases
// that ran out into events. Call advance(now) before a request is served, then const calls with the same `now` agree with
// the events. A lease that has ended comes back by a renewal only (heartbeat, update, registration), not by a longer
// time-out or a pause.
//
// Order: services keep the place of their first registration; heartbeat() and advance() allocate nothing in the common case.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "common/core/clock.hpp"
#include "common/core/result.hpp"
#include "common/core/wire/registry_api.hpp"
#include "registry/core/deadline_heap.hpp"
#include "registry/core/event_log.hpp"
#include "registry/core/health.hpp"
#include "registry/core/lease.hpp"
#include "registry/core/query.hpp"
#include "registry/core/removal_guard.hpp"

namespace svc::registry {

enum class NameConflictPolicy { accept, reject };

struct StateSettings {
  Duration heartbeat_timeout{std::chrono::seconds(120)};  ///< lease of a service that names no heartbeat_interval
  Duration remove_after{std::chrono::seconds(300)};       ///< since the last heartbeat; scaled with the lease otherwise
  HealthSettings health;
  RemovalSettings removal;
  NameConflictPolicy on_name_conflict = NameConflictPolicy::accept;
  std::size_t max_services = 100'000;
  std::size_t max_metadata_total_bytes = 256UL * 1024 * 1024;  ///< metadata and model names of all services together
  std::size_t event_log_capacity = 16'384;
  /// A gap between two observed times longer than this means that the registry itself was stopped (SIGSTOP, a suspended
  /// machine): every lease then gets one full term from the end of the gap. Must exceed the caller's tick.
  Duration pause_threshold{std::chrono::seconds(2)};
};

/// What the store keeps of a service.
struct StoredService {
  wire::ServiceSpec spec;
  std::uint64_t generation = 0;  ///< raised by every registration of the name, and by an update of its address

  bool operator==(const StoredService&) const = default;
};

struct Change {
  enum class Kind { put, remove };
  enum class Cause { registered, updated, unregistered, expired };
  Kind kind = Kind::put;
  Cause cause = Cause::registered;
  StoredService service;         ///< for remove: name and generation only
  bool name_conflict = false;    ///< a live registration of another host:port is replaced
  std::string previous_address;  ///< host:port it had, when name_conflict
  bool renews_lease = true;
};

/// The registration that whoever asks takes for the present one; nullopt: it did not say, and is believed.
using Owner = std::optional<std::uint64_t>;

/// What the changes that are being stored just now will add.
struct InFlight {
  std::size_t new_names = 0;
  std::size_t metadata_bytes = 0;
};

/// What a service counts against StateSettings::max_metadata_total_bytes.
std::size_t metadata_bytes_of(const wire::ServiceSpec& spec);

/// A service as it is now. References are valid until the next non-const call.
struct ServiceEntry {
  StoredService stored;
  wire::MetadataFacts facts;
  Lease lease;
  Health health;
  std::uint64_t health_run = 0;  ///< another number, of all services, whenever `health` begins anew: fences probes
  WallTime last_heartbeat{};
  Revision revision = 0;  ///< of its last change
  bool lease_reported_dead = false;
  std::string static_json;  ///< wire::static_service_json(), kept to make lists cheap
};

struct HeartbeatAck {
  Duration lease_remaining{};
  Revision revision = 0;
  std::uint64_t generation = 0;
};

struct RegistryStats {
  std::size_t total = 0, healthy = 0, unhealthy = 0;                               ///< unhealthy = total - healthy
  std::vector<std::pair<std::string, std::size_t>> by_status, by_host, by_health;  ///< sorted by name
  std::uint64_t name_conflicts = 0;                                                ///< accepted or refused since start
};

class RegistryState {
 public:
  /// `first_revision` is where counting starts: above everything an earlier boot handed out. `first_generation` likewise,
  /// also where what it handed out was not kept.
  RegistryState(StateSettings settings, TimePoint now, Revision first_revision, std::uint64_t first_generation = 0);

  /// Loads what the store had, before anything else; each service gets one full lease from `now`.
  void restore(std::vector<StoredService> services, TimePoint now, WallTime wall_now);

  /// Thresholds, time-outs and limits may change at run time (SIGHUP); leases that are alive are re-judged by the next
  /// advance(). Health that no probe could mend any more, since they ended or since they make nobody unhealthy, goes back
  /// to unknown: became_healthy.
  std::vector<Event> reconfigure(const StateSettings& settings);

  // -- durable changes ------------------------------------------------------------------------------------------------
  /// Errors: limit_exceeded (max_services, max_metadata_total_bytes), conflict (a live registration of another address
  /// holds the name, and the policy is reject or `owner` was replaced by it).
  Result<Change> plan_register(wire::ServiceSpec spec, TimePoint now, InFlight in_flight = {}, Owner owner = {});
  /// Another host or port than that of a live registration is a conflict of names, unless the patch names the generation.
  /// Errors: not_found, conflict (another generation; policy reject), limit_exceeded (max_metadata_total_bytes).
  Result<Change> plan_update(std::string_view name, const wire::ServicePatch& patch, TimePoint now,
                             InFlight in_flight = {});
  /// Errors: not_found, conflict (another generation).
  Result<Change> plan_remove(std::string_view name, TimePoint now, Owner owner = {});
  /// Services to remove in this sweep: stale for longer than their removal time-out, at most the guard's share of the
  /// fleet (random choice: `random` returns uniform 64-bit values), none while removal is on hold.
  std::vector<Change> plan_sweep(TimePoint now, const std::function<std::uint64_t()>& random);

  /// Does a removal that plan_sweep() made still apply: same registration, not renewed since?
  bool still_stale(const Change& removal, TimePoint now) const;

  /// Returns the events it raised, oldest first. An update that changes nothing only renews: no event, unless the lease
  /// had been reported dead. A changed host, port, url or metadata.health_url, and max_fails 0, put the health back to
  /// unknown; a registration always does. A removal with cause `expired` is skipped (no event, returns empty)
  /// when the service has been renewed or replaced since it was planned: the caller must then store it again.
  std::vector<Event> apply(const Change& change, TimePoint now, WallTime wall_now);

  // -- not durable ----------------------------------------------------------------------------------------------------
  /// Errors: not_found; conflict when `generation` is given and is not the present one.
  Result<HeartbeatAck> heartbeat(std::string_view name, std::optional<std::uint64_t> generation, TimePoint now,
                                 WallTime wall_now, std::vector<Event>& events);
  /// `health_run`: the service's when the probe began. Ignored when the name is gone, or has another one by now: what was
  /// probed is not what is registered there.
  std::vector<Event> record_probe(std::string_view name, std::uint64_t health_run, bool success, TimePoint now);

  /// Observes the time: detects a pause of the process, turns leases that ran out into events. Call it at least once
  /// per second and at next_deadline().
  std::vector<Event> advance(TimePoint now);
  /// When the next lease may run out; it may have been renewed by then. nullopt: none is alive.
  std::optional<TimePoint> next_deadline() const;

  // -- reading --------------------------------------------------------------------------------------------------------
  const ServiceEntry* find(std::string_view name) const;
  bool is_healthy(const ServiceEntry& entry, TimePoint now) const;
  Duration lease_remaining(const ServiceEntry& entry, TimePoint now) const;
  /// Calls `visit` for each service that passes the filter, in order of registration.
  void for_each(const ServiceFilter& filter, TimePoint now,
                const std::function<void(const ServiceEntry&, bool healthy)>& visit) const;
  RegistryStats stats(TimePoint now) const;
  std::size_t size() const { return index_.size(); }
  std::uint64_t pauses() const { return pauses_; }  ///< how often this process itself was found to have been stopped
  std::size_t alive() const { return alive_; }      ///< services whose lease has not been reported dead
  std::size_t healthy() const { return healthy_; }  ///< how many is_healthy() is true of, as of the last advance()
  std::size_t metadata_bytes() const { return metadata_bytes_; }
  Revision revision() const { return log_.revision(); }
  const EventLog& events() const { return log_; }
  RemovalStatus removal_status() const { return guard_.status(); }
  const StateSettings& settings() const { return settings_; }

 private:
  struct Node : ServiceEntry, DeadlineHeap::Hook {
    std::size_t place = 0;           ///< in order_
    std::size_t metadata_bytes = 0;  ///< its part of metadata_bytes_
    bool counted_healthy = false;    ///< it is one of healthy_
  };
  struct NameHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view name) const noexcept { return std::hash<std::string_view>{}(name); }
  };

  void observe(TimePoint now);
  Node* find_node(std::string_view name) const;
  Node& place_of(const std::string& name);
  void erase(Node& node);
  void restart_health(Node& node);
  void fill(Node& node, StoredService stored);
  LeaseTerms terms_of(const wire::ServiceSpec& spec) const;
  bool lease_alive(const ServiceEntry& entry, TimePoint now) const;
  bool stale(const ServiceEntry& entry, TimePoint now) const;
  void renew(Node& node, TimePoint now, WallTime wall_now, std::vector<Event>& events);
  void count(Node& node);
  std::optional<Error> refuse_metadata(const wire::ServiceSpec& spec, const Node* present, InFlight in_flight) const;
  void raise(Node& node, EventKind kind, std::string detail, std::vector<Event>& events);
  std::vector<Event> apply_put(const Change& change, TimePoint now, WallTime wall_now);
  std::vector<Event> apply_remove(const Change& change, TimePoint now);

  StateSettings settings_;
  EventLog log_;
  RemovalGuard guard_;
  DeadlineHeap deadlines_;                    ///< ends of the leases that are alive; never later than the truth
  std::vector<std::unique_ptr<Node>> order_;  ///< by first registration; null where one was removed
  std::unordered_map<std::string, Node*, NameHash, std::equal_to<>> index_;
  std::size_t alive_ = 0;
  std::size_t healthy_ = 0;
  std::size_t metadata_bytes_ = 0;
  TimePoint grace_from_;
  TimePoint observed_;
  std::uint64_t generation_;  ///< highest given out or restored
  std::uint64_t health_runs_ = 0;
  std::uint64_t name_conflicts_ = 0;
  std::uint64_t pauses_ = 0;
};

}  // namespace svc::registry
