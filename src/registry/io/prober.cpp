#include "registry/io/prober.hpp"

namespace svc::registry {
namespace {

bool not_served(int status) { return status == 404 || status == 405; }

}  // namespace

/// Says that a periodic probe is over when its scope is left: also after an exception, else it would never be probed again.
class Prober::End {
 public:
  End(Prober& prober, std::string name) : prober_(prober), name_(std::move(name)) {}
  ~End() {
    prober_.schedule_.ended(name_, steady_now());
    prober_.wake_.cancel();
  }
  End(const End&) = delete;
  End& operator=(const End&) = delete;

 private:
  Prober& prober_;
  const std::string name_;
};

Prober::Prober(asio::any_io_executor executor, RegistryState& state, EventPublisher& publisher,
               RegistryMetrics& metrics, HttpClient& client, Random& random, ProberSettings settings)
    : executor_(executor),
      state_(state),
      publisher_(publisher),
      metrics_(metrics),
      client_(client),
      settings_(settings),
      schedule_(settings.interval, [&random] { return random(); }),
      wake_(executor) {}

void Prober::start(TaskGroup& tasks) {
  tasks_ = &tasks;
  const TimePoint now = steady_now();
  state_.for_each({}, now,
                  [this, now](const ServiceEntry& entry, bool) { schedule_.add(entry.stored.spec.name, now); });
  publisher_.listen([this](const Event& event) { follow(event); });
  tasks.spawn("prober", run());
}

void Prober::follow(const Event& event) {
  if (event.kind == EventKind::registered) {
    schedule_.add(event.name, steady_now());
  } else if (event.kind == EventKind::unregistered || event.kind == EventKind::removed_stale) {
    schedule_.remove(event.name);
    return;
  } else {
    return;
  }
  wake_.cancel();
}

void Prober::reconfigure(ProberSettings settings) {
  if (settings.interval != settings_.interval) {
    schedule_.set_interval(settings.interval, steady_now());
  }
  settings_ = settings;
  wake_.cancel();
}

void Prober::stop() {
  stopped_ = true;
  wake_.cancel();
}

asio::awaitable<void> Prober::run() {
  while (!stopped_) {
    start_due(steady_now());
    const auto due = schedule_.next_due();
    // With every place taken, the next probe that ends wakes us.
    wake_.expires_at(due && in_flight_ < settings_.concurrency ? *due : Timer::time_point::max());
    co_await wake_.async_wait(kTok);
  }
}

void Prober::start_due(TimePoint now) {
  if (in_flight_ >= settings_.concurrency) {
    return;
  }
  for (auto& name : schedule_.take_due(now, settings_.concurrency - in_flight_)) {
    tasks_->spawn("probe", probe_one(std::move(name), Counted(in_flight_)));
  }
}

asio::awaitable<void> Prober::probe_one(std::string name, Counted place) {
  const End end(*this, name);
  const Counted taken(std::move(place));  // given back first
  if (const auto* entry = state_.find(name)) {
    co_await probe_now(*entry);
  }
}

asio::awaitable<ProbeOutcome> Prober::probe_on_demand(const ServiceEntry& entry) {
  const Counted one(on_demand_);
  co_return co_await probe_now(entry);
}

asio::awaitable<ProbeOutcome> Prober::probe_now(const ServiceEntry& entry) {
  const auto name = entry.stored.spec.name;
  const auto health_run = entry.health_run;
  const auto outcome = co_await try_targets(probe_targets(entry.stored.spec, entry.facts));
  if (outcome.unsent) {
    co_return outcome;  // that this process is out of descriptors says nothing about the service
  }
  (outcome.healthy ? metrics_.probes_good : metrics_.probes_bad).add();
  metrics_.probe_seconds.observe(std::chrono::duration<double>(outcome.took).count());
  log_.debug("probe", {{"name", name}, {"url", outcome.url}, {"healthy", outcome.healthy}, {"error", outcome.error}});
  publisher_.advance(state_);
  const auto events = state_.record_probe(name, health_run, outcome.healthy, steady_now());
  if (!events.empty() && !outcome.healthy) {
    log_.warn("service fails its probes", {{"name", name}, {"url", outcome.url}, {"error", outcome.error}});
  }
  publisher_.publish(events);
  co_return outcome;
}

asio::awaitable<ProbeOutcome> Prober::try_targets(std::vector<ProbeTarget> targets) {
  ProbeOutcome outcome;
  Duration spent{};
  for (auto& target : targets) {
    outcome = co_await http_probe(client_, std::move(target.url), settings_.timeout);
    spent += outcome.took;
    const bool go_on =
        (target.next_only_if_refused && outcome.refused) || (target.next_if_not_served && not_served(outcome.status));
    if (!go_on) {
      break;
    }
  }
  outcome.took = spent;
  co_return outcome;
}

}  // namespace svc::registry
