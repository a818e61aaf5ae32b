#include "router/io/health_monitor.hpp"

#include <algorithm>
#include <set>

#include "router/io/health_monitor_watched.hpp"

namespace svc::router {
namespace {

constexpr Duration kProbeTick = std::chrono::milliseconds(100);
/// So that a fleet that is mostly dead, each probe of which takes its whole time, does not keep the living from being
/// probed.
constexpr std::size_t kMaxProbesOfOut = 48;

bool is_out(ProbeVerdict verdict) { return verdict == ProbeVerdict::down || verdict == ProbeVerdict::hung; }

}  // namespace

std::string MonitorTarget::url(std::string_view path) const {
  return std::string(tls ? "https://" : "http://").append(endpoint.to_string()).append(path);
}

HealthMonitor::HealthMonitor(asio::any_io_executor executor, HttpClient& client, Random& random, OutlierBoard& outliers,
                             MonitorRules rules, MonitorCallbacks callbacks)
    : executor_(executor),
      client_(client),
      random_(random),
      outliers_(outliers),
      rules_(std::move(rules)),
      callbacks_(std::move(callbacks)),
      tick_(executor) {}

HealthMonitor::~HealthMonitor() = default;

void HealthMonitor::start(TaskGroup& tasks) {
  tasks_ = &tasks;
  tasks.spawn("health monitor", run());
}

void HealthMonitor::stop() {
  stopped_ = true;
  tick_.cancel();
}

void HealthMonitor::sync(const std::vector<Upstream>& upstreams,
                         const std::function<std::string(const Upstream&)>& why) {
  std::set<std::string> out_before;
  for (const auto& [live, watched] : watched_) {
    watched->gone = true;
    if (is_out(watched->judge.verdict())) out_before.insert(watched->target.name);
  }
  for (const auto& upstream : upstreams) {
    auto& watched = watched_[upstream.live.get()];
    if (!watched) {
      watched = std::make_shared<Watched>();
      watched->came_again = out_before.contains(upstream.spec.name);
    }
    watched->gone = false;
    const auto& spec = upstream.spec;
    watched->target = {spec.name,          spec.incarnation, spec.endpoint, spec.tls, spec.agent_on_next_port,
                       spec.models_stated, upstream.live};
    const bool has_address = !upstream.addresses.empty();
    if (!has_address) {
      watched->judge.declare_down();
      watched->note.error = why(upstream);
    } else if (!watched->has_address) {
      watched->judge.forget();
      watched->next_probe = {};
    }
    watched->has_address = has_address;
    upstream.live->verdict = watched->judge.verdict();
  }
  forget_gone();
  tick_.cancel();
}

/// Whoever still has requests there must hear of it when it hangs.
void HealthMonitor::forget_gone() {
  std::erase_if(watched_, [](const auto& item) {
    return item.second->gone && item.second->target.live->in_flight.load(std::memory_order_relaxed) == 0;
  });
}

void HealthMonitor::check_soon(const UpstreamLive& live) {
  const auto found = watched_.find(&live);
  if (found == watched_.end()) return;
  found->second->next_probe = {};
  tick_.cancel();
}

const ProbeNote* HealthMonitor::note(const UpstreamLive& live) const {
  const auto found = watched_.find(&live);
  return found == watched_.end() ? nullptr : &found->second->note;
}

asio::awaitable<void> HealthMonitor::run() {
  while (!stopped_) {
    look_at_all(steady_now());
    tick_.expires_after(kProbeTick);
    co_await tick_.async_wait(kTok);
  }
}

void HealthMonitor::look_at_all(TimePoint now) {
  forget_gone();
  // By copies: the callbacks may make the fleet anew.
  std::vector<WatchedPtr> all;
  all.reserve(watched_.size());
  for (const auto& [live, watched] : watched_) all.push_back(watched);
  for (const auto& watched : all) {
    if (!watched->gone) look_at_ejection(*watched, now);
    move_what_waits(*watched, now);
    look_at_silence(watched, now);
  }
  start_due(now);
}

void HealthMonitor::look_at_ejection(Watched& watched, TimePoint now) {
  const auto until = watched.target.live->ejected_until_ns.load(std::memory_order_relaxed);
  const bool ejected = until > now.time_since_epoch().count();
  if (ejected == watched.ejected) return;
  watched.ejected = ejected;
  if (ejected) {
    log_.warn("an instance is ejected for its failures",
              {{"name", watched.target.name},
               {"url", watched.target.url("")},
               {"for_ms", (until - now.time_since_epoch().count()) / 1'000'000}});
    watched.next_probe = {};
    callbacks_.changed();
    return;
  }
  log_.info("the ejection of an instance is over", {{"name", watched.target.name}, {"url", watched.target.url("")}});
  begin_ramp(watched, now);
  callbacks_.changed();
  callbacks_.came_back();
}

void HealthMonitor::start_due(TimePoint now) {
  std::vector<WatchedPtr> due;
  for (const auto& [live, watched] : watched_) {
    if (!watched->probing && !watched->gone && watched->has_address && watched->next_probe <= now)
      due.push_back(watched);
  }
  std::sort(due.begin(), due.end(), [](const auto& a, const auto& b) { return a->next_probe < b->next_probe; });
  for (const auto& watched : due) {
    if (probing_ >= kMaxProbes) return;
    const bool out = is_out(watched->judge.verdict());
    if (out && probing_out_ >= kMaxProbesOfOut) continue;
    if (!tasks_->spawn("probe", probe(watched, out))) return;
    watched->probing = true;
    ++probing_;
    probing_out_ += out ? 1U : 0U;
  }
}

asio::awaitable<void> HealthMonitor::probe(WatchedPtr watched, bool out) {
  const auto finding = co_await examine(watched->target);
  watched->probing = false;
  --probing_;
  probing_out_ -= out ? 1U : 0U;
  if (watched->gone || !watched->has_address || stopped_) co_return;
  if (finding) {
    conclude(*watched, *finding);
  } else {
    watched->next_probe = steady_now() + jittered(rules_.health.recovery_interval, random_());
  }
}

/// nullopt: the probe could not be sent, so nothing is known.
asio::awaitable<std::optional<HealthMonitor::Finding>> HealthMonitor::examine(MonitorTarget target) {
  auto outcome = co_await http_probe(client_, target.url(rules_.path), rules_.timeout);
  Finding finding{ProbeFinding::good, "", outcome.took};
  if (outcome.healthy) co_return finding;
  if (has_no_health_page(outcome.status)) {
    for (const char* page : {"/v1/models", "/models"}) {
      outcome = co_await http_probe(client_, target.url(page), rules_.timeout);
      if (outcome.status > 0 && outcome.status < 500) co_return finding;
    }
  }
  if (outcome.unsent) co_return std::nullopt;
  finding.error = outcome.url + ": " + outcome.error;
  finding.finding = outcome.refused ? ProbeFinding::refused : ProbeFinding::bad;
  const bool silent = outcome.status == 0 && !outcome.refused;
  if (silent && target.agent_on_next_port && target.endpoint.port < 65535) {
    ++target.endpoint.port;
    target.tls = false;
    const auto agent = co_await http_probe(client_, target.url("/health"), rules_.timeout);
    if (!agent.healthy && !agent.unsent) {
      finding.finding = ProbeFinding::refused;
      finding.error += "; its agent: " + agent.error;
    }
  }
  co_return finding;
}

void HealthMonitor::conclude(Watched& watched, const Finding& finding) {
  const TimePoint now = steady_now();
  const auto live = watched.target.live;
  const bool good = finding.finding == ProbeFinding::good;
  watched.note.checked_at = wall_now();
  watched.note.took = finding.took;
  watched.note.error = finding.error;
  ++(good ? watched.note.good : watched.note.bad);
  log_.debug("probe", {{"name", watched.target.name}, {"good", good}, {"error", finding.error}});

  const ProbeVerdict before = watched.judge.verdict();
  const bool verdict_changed = watched.judge.probed(finding.finding, rules_.health);
  const ProbeVerdict verdict = watched.judge.verdict();
  live->verdict = verdict;
  // Down or hung before, and well again: most likely another process, to which the old failures do not belong.
  const bool recovered = good && is_out(before) && verdict == ProbeVerdict::up;
  const bool ejection_ended = recovered ? outliers_.came_back(live) : good && outliers_.probed_good(live);
  const bool back = (verdict_changed && verdict == ProbeVerdict::up) || ejection_ended;
  const bool ramp = ejection_ended || is_out(before) || watched.came_again;
  if (back && ramp) begin_ramp(watched, now);
  if (back) watched.came_again = false;
  if (ejection_ended) watched.ejected = false;
  watched.next_probe = now + watched.judge.next_after(watched.ejected, random_(), rules_.health);
  if (verdict_changed) note_change(watched, before);
  if (verdict_changed || ejection_ended) callbacks_.changed();
  if (back) callbacks_.came_back();
  if (good) callbacks_.proved_well(watched.target);
}

void HealthMonitor::note_change(Watched& watched, ProbeVerdict before) {
  const auto& target = watched.target;
  if (watched.judge.verdict() == ProbeVerdict::up) {
    log_.info(is_out(before) ? "an instance is back" : "an instance is up",
              {{"name", target.name}, {"url", target.url("")}});
  } else {
    log_.warn("an instance is down", {{"name", target.name}, {"url", target.url("")}, {"error", watched.note.error}});
  }
}

/// Only when others carry the load meanwhile.
void HealthMonitor::begin_ramp(Watched& watched, TimePoint now) {
  const bool others = std::any_of(watched_.begin(), watched_.end(), [&](const auto& item) {
    return item.second.get() != &watched && item.second->target.live->usable(now);
  });
  watched.target.live->ramp_began_ns = others ? now.time_since_epoch().count() : 0;
}

}  // namespace svc::router
