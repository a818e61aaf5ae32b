// Instances that have requests, are silent and do not answer probes: found, and their requests moved.
#include "router/io/health_monitor_watched.hpp"

namespace svc::router {
namespace {

constexpr Duration kMoveAgain = std::chrono::seconds(1);

TimePoint from_ns(std::int64_t ns) { return TimePoint(Duration(ns)); }

}  // namespace

void HealthMonitor::look_at_silence(const WatchedPtr& watched, TimePoint now) {
  const auto& live = *watched->target.live;
  const bool ask = asking_ < kMaxProbes && !live.held_up() &&
                   watched->hung.look(now, live.in_flight.load(std::memory_order_relaxed),
                                      from_ns(live.last_heard_ns.load(std::memory_order_relaxed)),
                                      watched->judge.verdict(), rules_.hung);
  if (ask && tasks_->spawn("probe for a hung instance", ask_if_hung(watched))) ++asking_;
}

/// Those that nobody else could take when it was declared hung: somebody may have room by now, or be new.
void HealthMonitor::move_what_waits(Watched& watched, TimePoint now) {
  const auto& live = watched.target.live;
  if (watched.judge.verdict() != ProbeVerdict::hung || live->in_flight.load(std::memory_order_relaxed) == 0 ||
      now < watched.move_again) {
    return;
  }
  watched.move_again = now + kMoveAgain;
  callbacks_.hung(live);
}

asio::awaitable<void> HealthMonitor::ask_if_hung(WatchedPtr watched) {
  const auto live = watched->target.live;
  const Duration timeout = rules_.hung.timeout;
  auto step = HungWatch::Step::ask_again;
  std::string error;
  while (step == HungWatch::Step::ask_again) {
    const auto outcome = co_await http_probe(client_, watched->target.url(rules_.path), timeout);
    auto answer = HungAnswer::answered;
    if (outcome.status >= 500 && !has_no_health_page(outcome.status)) {
      watched->next_probe = {};  // it is for the ordinary probes to take it out, and soon
      // One that the registry knows to be draining may say so, and finish what it has.
      const bool draining = !live->serving.load(std::memory_order_relaxed);
      if (watched->judge.verdict() == ProbeVerdict::down && !draining) answer = HungAnswer::unwell;
      error = outcome.error;
    }
    if (outcome.status == 0) {
      answer = outcome.took >= timeout ? HungAnswer::timed_out : HungAnswer::failed;
      answer = outcome.refused ? HungAnswer::refused : answer;
      error = outcome.error;
    }
    step = watched->hung.probed(steady_now(), answer, live->in_flight.load(std::memory_order_relaxed),
                                from_ns(live->last_heard_ns.load(std::memory_order_relaxed)));
    if (stopped_) step = HungWatch::Step::alive;
  }
  --asking_;
  if (step != HungWatch::Step::hung || watched->judge.verdict() == ProbeVerdict::hung) co_return;
  watched->judge.declare_hung();
  watched->note.error = error;
  live->verdict = ProbeVerdict::hung;
  log_.warn("an instance hangs: it has requests, is silent and fails its probes",
            {{"name", watched->target.name},
             {"url", watched->target.url("")},
             {"in_flight", live->in_flight.load(std::memory_order_relaxed)},
             {"error", error}});
  watched->next_probe = steady_now() + watched->judge.next_after(false, random_(), rules_.health);
  callbacks_.changed();
  callbacks_.hung(live);
}

}  // namespace svc::router
