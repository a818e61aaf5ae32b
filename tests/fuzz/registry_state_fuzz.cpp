// Bytes as commands on RegistryState, as its callers may give them (one change per name in flight, time never goes back).
// After each command everything that a reader can see must agree.
#include <algorithm>
#include <map>
#include <set>

#include "registry/core/registry_state.hpp"
#include "tests/fuzz/fuzz_check.hpp"
#include "tests/fuzz/registry_commands.hpp"

namespace {

using namespace svc;
using namespace svc::registry;
using namespace std::chrono_literals;
using fuzz::Commands;
using fuzz::kEventCapacity;
using fuzz::kMaxServices;
using fuzz::require;

constexpr Revision kFirstRevision = 1000;

class Run {
 public:
  explicit Run(Commands commands)
      : commands_(commands),
        settings_(commands_.settings()),
        state_(settings_, now_, kFirstRevision),
        last_(kFirstRevision) {}

  void all() {
    restore();
    while (!commands_.empty()) {
      step(commands_.below(12));
      check();
    }
  }

 private:
  void restore() {
    std::vector<StoredService> stored;
    const std::size_t count = commands_.below(kMaxServices + 1);
    for (std::size_t i = 0; i < count; ++i) {
      stored.push_back({commands_.spec(std::string(1, static_cast<char>('a' + i))), kFirstRevision / (i + 1)});
    }
    state_.restore(std::move(stored), now_, wall_);
    require(state_.size() == count && state_.alive() == count, "everything stored is back and alive");
    require(state_.revision() == kFirstRevision, "a restart is no change");
    check();
  }

  void step(std::size_t kind) {
    switch (kind) {
      case 0:
      case 1: return plan(true);
      case 2: return plan(false);
      case 3: return plan_removal();
      case 4:
      case 5: return apply_one();
      case 6: return heartbeat();
      case 7: return probe();
      case 8: return sweep();
      case 9: return reconfigure();
      default: return advance();
    }
  }

  void plan(bool registration) {
    const std::string called = commands_.name();
    if (in_flight_.contains(called)) return;
    if (!registration) {
      const bool known = state_.find(called) != nullptr;
      auto change = state_.plan_update(called, commands_.patch(), now_);
      const bool held = change.has_error() && change.error().code == Errc::conflict;
      require(change.has_value() == (known && !held), "only what is registered can be updated");
      require(!held || settings_.on_name_conflict == NameConflictPolicy::reject, "who holds a name may be replaced");
      if (change) in_flight_.emplace(called, *std::move(change));
      return;
    }
    const auto new_names =
        static_cast<std::size_t>(std::count_if(in_flight_.begin(), in_flight_.end(), [this](const auto& item) {
          return item.second.kind == Change::Kind::put && state_.find(item.first) == nullptr;
        }));
    const ServiceEntry* before = state_.find(called);
    const std::uint64_t generation = before != nullptr ? before->stored.generation : 0;
    auto change = state_.plan_register(commands_.spec(called), now_, InFlight{new_names});
    if (change) {
      require(change->service.generation > generation, "a registration raises the generation");
      in_flight_.emplace(called, *std::move(change));
    } else {
      fuzz::require_printable(change.error().to_string());
      require(before != nullptr || state_.size() + new_names >= kMaxServices, "a new name is refused when it is full");
    }
  }

  void plan_removal() {
    const std::string called = commands_.name();
    if (in_flight_.contains(called)) return;
    auto change = state_.plan_remove(called, now_);
    require(change.has_value() == (state_.find(called) != nullptr), "only what is registered can be removed");
    if (change) in_flight_.emplace(called, *std::move(change));
  }

  void apply_one() {
    if (in_flight_.empty()) return;
    auto chosen = in_flight_.begin();
    std::advance(chosen, static_cast<std::ptrdiff_t>(commands_.below(in_flight_.size())));
    const Change change = std::move(chosen->second);
    in_flight_.erase(chosen);
    apply(change);
  }

  void apply(const Change& change) {
    const std::string& called = change.service.spec.name;
    const bool was_there = state_.find(called) != nullptr;
    const auto events = state_.apply(change, now_, wall_);
    take(events);
    const ServiceEntry* entry = state_.find(called);
    if (change.kind == Change::Kind::put) {
      require(entry != nullptr && entry->stored == change.service, "what was stored is there");
      require(state_.lease_remaining(*entry, now_) > Duration::zero(), "a put renews the lease");
    } else {
      require(events.size() <= 1, "a removal is one event or none");
      require((entry == nullptr) == (!was_there || !events.empty()), "a removal says whether it happened");
    }
  }

  void heartbeat() {
    const std::string called = commands_.name();
    const ServiceEntry* entry = state_.find(called);
    std::optional<std::uint64_t> generation;
    const std::size_t choice = commands_.below(3);
    if (choice == 1 && entry != nullptr) generation = entry->stored.generation;
    if (choice == 2) generation = 0;
    const bool fits = entry != nullptr && (!generation || *generation == entry->stored.generation);
    std::vector<Event> events;
    const auto ack = state_.heartbeat(called, generation, now_, wall_, events);
    take(events);
    require(ack.has_value() == fits, "a heartbeat is taken from the owner of a registered name");
    if (!ack) return fuzz::require_printable(ack.error().to_string());
    require(ack->lease_remaining > Duration::zero() && ack->revision == state_.revision(), "a heartbeat renews");
  }

  void probe() {
    const std::string called = commands_.name();
    const std::size_t choice = commands_.byte();
    const ServiceEntry* entry = state_.find(called);
    const std::uint64_t now_held = entry != nullptr ? entry->health_run : 0;
    const bool stale = (choice & 2U) != 0;
    const auto events = state_.record_probe(called, stale ? now_held + 1 : now_held, (choice & 1U) != 0, now_);
    require(events.size() <= (stale || entry == nullptr ? 0U : 1U), "a probe of something else changes nothing");
    take(events);
  }

  void sweep() {
    const std::size_t fleet = state_.size();
    const auto removals = state_.plan_sweep(now_, [this] { return commands_.byte() * 0x9e3779b97f4a7c15U; });
    const auto share = static_cast<std::size_t>(static_cast<double>(fleet) * settings_.removal.max_share + 1e-9);
    require(removals.size() <= std::max<std::size_t>(1, share), "a sweep takes at most its share");
    require(removals.empty() || !state_.removal_status().on_hold, "no removal on hold");
    std::set<std::string> names;
    for (const Change& removal : removals) {
      const std::string& called = removal.service.spec.name;
      const ServiceEntry* entry = state_.find(called);
      require(names.insert(called).second && entry != nullptr, "a sweep names what is there, once");
      require(state_.lease_remaining(*entry, now_) == Duration::zero(), "no lease that lives is removed");
      require(state_.still_stale(removal, now_), "what was just found stale is stale");
      if (in_flight_.contains(called)) continue;
      if (commands_.below(4) == 0) {
        in_flight_.emplace(called, removal);
        continue;
      }
      apply(removal);
      require(state_.find(called) == nullptr, "what is stale goes");
    }
  }

  void reconfigure() {
    settings_ = commands_.settings();
    take(state_.reconfigure(settings_));
  }

  void advance() {
    constexpr Duration kSteps[] = {0ms, 1ns, 100ms, 1s, 4999ms, 5s, 5001ms, 6s, 60s, 121s, 301s, 2h, 24h * 366};
    // Long times pass in ticks, unless the process was stopped.
    const std::size_t choice = commands_.byte();
    Duration left = kSteps[choice % std::size(kSteps)];
    const bool stopped = choice >= 128;
    for (int ticks = 0; left > Duration::zero() && ticks < 70; ++ticks) {
      const Duration tick = stopped ? left : std::min<Duration>(left, 5s);
      left -= tick;
      now_ += tick;
      wall_ += std::chrono::duration_cast<std::chrono::microseconds>(tick);
      take(state_.advance(now_));
    }
    take(state_.advance(now_));
    const auto next = state_.next_deadline();
    require(!next || *next > now_, "no deadline is left behind");
    state_.for_each({}, now_, [this](const ServiceEntry& entry, bool) {
      require(entry.lease_reported_dead == (state_.lease_remaining(entry, now_) == Duration::zero()),
              "events and readers agree about a lease");
    });
  }

  /// Events come one after another, none missing, and a watcher can read them again.
  void take(const std::vector<Event>& events) {
    const Revision before = last_;
    for (const Event& event : events) {
      require(event.revision == last_ + 1, "events are contiguous");
      last_ = event.revision;
    }
    require(state_.revision() == last_, "every change of the revision is an event");
    const auto seen = state_.events().after(before);
    require(seen.has_value() == (events.size() <= kEventCapacity) || last_ - kFirstRevision > kEventCapacity,
            "the log reaches back as far as it says");
    if (!seen) return;
    require(seen->size() == events.size(), "the log has every event");
    for (std::size_t i = 0; i < events.size(); ++i) {
      require((*seen)[i]->revision == events[i].revision && (*seen)[i]->name == events[i].name,
              "the log has the events");
    }
  }

  void check() const {
    require(state_.revision() == last_, "the revision moves with events only");
    require(state_.size() <= kMaxServices, "max_services holds");
    std::size_t seen = 0;
    std::size_t healthy_count = 0;
    std::size_t alive = 0;
    std::size_t told_healthy = 0;
    state_.for_each({}, now_, [&](const ServiceEntry& entry, bool healthy) {
      ++seen;
      require(state_.find(entry.stored.spec.name) == &entry, "what is listed is found");
      require(healthy == state_.is_healthy(entry, now_), "lists and single answers agree");
      const bool living = state_.lease_remaining(entry, now_) > Duration::zero();
      require(!healthy || (living && entry.stored.spec.status == "running"), "healthy means running and alive");
      require(!healthy || entry.health.status() != HealthStatus::unhealthy, "healthy means not probed unhealthy");
      require(!living || !entry.lease_reported_dead, "a lease that was reported dead is dead");
      require(entry.revision <= state_.revision(), "no entry is from the future");
      healthy_count += healthy ? 1 : 0;
      alive += entry.lease_reported_dead ? 0 : 1;
      const bool told = entry.stored.spec.status == wire::kStatusRunning && !entry.lease_reported_dead &&
                        entry.health.status() != HealthStatus::unhealthy;
      told_healthy += told ? 1 : 0;
    });
    require(seen == state_.size() && alive == state_.alive() && told_healthy == state_.healthy(),
            "the counts are right");
    const auto stats = state_.stats(now_);
    require(stats.total == seen && stats.healthy == healthy_count && stats.unhealthy == seen - healthy_count,
            "the statistics are right");
    for (const auto* list : {&stats.by_status, &stats.by_host, &stats.by_health}) {
      std::size_t sum = 0;
      for (const auto& item : *list) sum += item.second;
      require(sum == seen, "each distribution counts each service once");
    }
  }

  Commands commands_;
  TimePoint now_{1h};
  WallTime wall_{std::chrono::hours(24 * 365 * 50)};
  StateSettings settings_;
  RegistryState state_;
  Revision last_;
  std::map<std::string, Change> in_flight_;
};

}  // namespace

// NOLINTNEXTLINE(readability-identifier-naming): the name is libFuzzer's.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Run(Commands(data, size)).all();
  return 0;
}
