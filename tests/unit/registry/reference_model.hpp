// The registry's rules written a second time, as plainly as possible: a map, brute force, no heap, no counters, no
// caches. The randomised test compares RegistryState with it after every command.
#pragma once

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "registry/core/registry_state.hpp"

namespace svc::registry::test {

struct ModelService {
  StoredService stored;
  TimePoint renewed_at;
  bool dead = false;
  std::string health = "unknown";
  int failures = 0;
  int successes = 0;
  std::size_t place = 0;
};

class ReferenceModel {
 public:
  ReferenceModel(StateSettings given, TimePoint start, Revision first)
      : settings(given), grace(start), last(start), first_revision(first), generation(first) {}

  // -- commands; each returns "kind:name" of the events it must raise -------------------------------------------------
  std::vector<std::string> put_registration(const StoredService& stored, TimePoint now) {
    see(now);
    generation = std::max(generation, stored.generation);
    const auto old = services.find(stored.spec.name);
    ModelService fresh;
    fresh.stored = stored;
    fresh.renewed_at = now;
    fresh.place = old == services.end() ? next_place++ : old->second.place;
    services[stored.spec.name] = fresh;
    return {"registered:" + stored.spec.name};
  }
  std::vector<std::string> put_update(const StoredService& stored, TimePoint now) {
    see(now);
    const auto& spec = stored.spec;
    generation = std::max(generation, stored.generation);
    std::vector<std::string> events;
    ModelService& service = services.at(spec.name);
    const auto old = service.stored.spec;
    if (old != spec) {
      const bool elsewhere =
          old.host != spec.host || old.port != spec.port || old.url != spec.url ||
          wire::facts_of(old.metadata_json).health_url != wire::facts_of(spec.metadata_json).health_url;
      if (elsewhere || (spec.max_fails_given && spec.max_fails == 0)) {
        service.health = "unknown";
        service.failures = service.successes = 0;
      }
      service.stored = stored;
      events.push_back("updated:" + spec.name);
    }
    renew(service, now, events);
    return events;
  }
  std::vector<std::string> reconfigure(const StateSettings& given) {
    const bool ended = settings.health.periodic && !given.health.periodic;
    settings = given;
    std::vector<std::string> events;
    for (const auto& name : list({}, last)) {
      ModelService& service = services.at(name);
      if (service.health != "unhealthy") continue;
      if (!ended && (given.health.unhealthy_after > 0 || service.stored.spec.max_fails_given)) continue;
      service.health = "unknown";
      service.failures = service.successes = 0;
      events.push_back("became_healthy:" + name);
    }
    return events;
  }
  std::vector<std::string> remove(const std::string& name, TimePoint now) {
    see(now);
    services.erase(name);
    return {"unregistered:" + name};
  }
  std::vector<std::string> remove_stale(const std::string& name, TimePoint now) {
    see(now);
    services.erase(name);
    return {"removed_stale:" + name};
  }
  std::vector<std::string> heartbeat(const std::string& name, TimePoint now) {
    see(now);
    std::vector<std::string> events;
    renew(services.at(name), now, events);
    return events;
  }
  std::vector<std::string> probe(const std::string& name, bool success, TimePoint now) {
    see(now);
    ModelService& service = services.at(name);
    const auto& spec = service.stored.spec;
    const auto threshold = spec.max_fails_given ? spec.max_fails : settings.health.unhealthy_after;
    service.failures = success ? 0 : service.failures + 1;
    service.successes = success ? service.successes + 1 : 0;
    const std::string before = service.health;
    if (success && service.successes >= settings.health.healthy_after) service.health = "healthy";
    if (!success && threshold > 0 && service.failures >= threshold) service.health = "unhealthy";
    if (service.health == before) return {};
    return {"became_" + service.health + ":" + name};
  }
  std::vector<std::string> advance(TimePoint now) {
    see(now);
    std::vector<std::pair<TimePoint, std::string>> ended;
    for (const auto& [name, service] : services) {
      if (!service.dead && ends(service) <= now) ended.emplace_back(ends(service), name);
    }
    std::sort(ended.begin(), ended.end());
    std::vector<std::string> events;
    for (const auto& [end, name] : ended) {
      services.at(name).dead = true;
      events.push_back("lease_expired:" + name);
      expirations.emplace_back(now, terms(services.at(name).stored.spec).first);
      while (expirations.size() > std::max<std::size_t>(services.size(), 3)) expirations.erase(expirations.begin());
      forget_expirations(now);
      if (!hold_since && expirations.size() > 2 && expirations.size() * 2 > services.size() &&
          alive() * 2 < services.size()) {
        hold_since = now;
      }
    }
    review(now);
    return events;
  }
  /// How many a sweep takes.
  std::size_t sweep_size(TimePoint now) {
    see(now);
    forget_expirations(now);
    review(now);
    std::size_t stale_count = 0;
    for (const auto& [name, service] : services) stale_count += stale(service, now) ? 1U : 0U;
    if (hold_since) return 0;
    const auto share =
        static_cast<std::size_t>(static_cast<double>(services.size()) * settings.removal.max_share + 1e-9);
    return std::min(stale_count, std::max<std::size_t>(share, 1));
  }
  void see(TimePoint now) {
    if (now - last > settings.pause_threshold) grace = now;
    last = std::max(last, now);
  }

  // -- facts ----------------------------------------------------------------------------------------------------------
  std::pair<Duration, Duration> terms(const wire::ServiceSpec& spec) const {
    Duration lease = settings.heartbeat_timeout;
    Duration removal = settings.remove_after;
    if (spec.heartbeat_interval) {
      lease = std::max<Duration>(3 * *spec.heartbeat_interval, std::chrono::seconds(5));
      removal = lease * (settings.remove_after / std::chrono::seconds(1)) /
                (settings.heartbeat_timeout / std::chrono::seconds(1));
    }
    if (spec.remove_after) removal = *spec.remove_after;
    return {lease, std::max(lease, removal)};
  }
  TimePoint ends(const ModelService& service) const {
    return std::max(service.renewed_at, grace) + terms(service.stored.spec).first;
  }
  bool is_alive(const ModelService& service, TimePoint now) const { return !service.dead && now < ends(service); }
  bool stale(const ModelService& service, TimePoint now) const {
    return !is_alive(service, now) && now > std::max(service.renewed_at, grace) + terms(service.stored.spec).second;
  }
  bool healthy(const ModelService& service, TimePoint now) const {
    return service.stored.spec.status == "running" && is_alive(service, now) && service.health != "unhealthy";
  }
  std::size_t alive() const {
    return static_cast<std::size_t>(
        std::count_if(services.begin(), services.end(), [](const auto& s) { return !s.second.dead; }));
  }
  /// Healthy as far as events have told.
  std::size_t told_healthy() const {
    return static_cast<std::size_t>(std::count_if(services.begin(), services.end(), [](const auto& s) {
      return !s.second.dead && s.second.health != "unhealthy" && s.second.stored.spec.status == "running";
    }));
  }
  std::vector<std::string> list(const ServiceFilter& filter, TimePoint now) const {
    std::map<std::size_t, std::string> in_order;
    for (const auto& [name, service] : services) {
      const auto& spec = service.stored.spec;
      const auto facts = wire::facts_of(spec.metadata_json);
      const auto& models = spec.models.empty() ? facts.models : spec.models;
      const bool has_model = filter.model && std::find(models.begin(), models.end(), *filter.model) != models.end();
      const bool fits = (!filter.status || spec.status == *filter.status) &&
                        (!filter.type || facts.type == *filter.type) && (!filter.model || has_model) &&
                        (!filter.host || spec.host == *filter.host || spec.hostname == *filter.host) &&
                        (!filter.healthy || healthy(service, now) == *filter.healthy);
      if (fits) in_order[service.place] = name;
    }
    std::vector<std::string> names;
    for (const auto& [place, name] : in_order) names.push_back(name);
    return names;
  }
  std::vector<StoredService> stored() const {
    std::vector<StoredService> all;
    for (const auto& name : list({}, last)) all.push_back(services.at(name).stored);
    return all;
  }

  std::map<std::string, ModelService> services;
  StateSettings settings;
  TimePoint grace, last;
  Revision first_revision;
  std::uint64_t generation;
  std::vector<std::string> history;                         ///< every event since first_revision
  std::vector<std::pair<TimePoint, Duration>> expirations;  ///< when, and of how long a lease
  std::optional<TimePoint> hold_since;
  std::size_t next_place = 0;

 private:
  void forget_expirations(TimePoint now) {
    for (std::size_t before = expirations.size() + 1; expirations.size() < before;) {
      before = expirations.size();
      Duration longest{};
      for (const auto& [at, length] : expirations) longest = std::max(longest, length);
      const Duration window = std::max(settings.removal.interval, std::min(longest, settings.removal.hold_limit));
      if (before > 0 && now - expirations.front().first > window) expirations.erase(expirations.begin());
    }
  }
  static void revive(ModelService& service, std::vector<std::string>& events) {
    if (service.dead) events.push_back("lease_renewed:" + service.stored.spec.name);
    service.dead = false;
  }
  void renew(ModelService& service, TimePoint now, std::vector<std::string>& events) {
    service.renewed_at = now;
    revive(service, events);
  }
  void review(TimePoint now) {
    if (!hold_since) return;
    if (alive() * 2 < services.size() && now - *hold_since < settings.removal.hold_limit) return;
    hold_since.reset();
    expirations.clear();
  }
};

}  // namespace svc::registry::test
