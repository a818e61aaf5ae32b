#include "bench/routing/simulation.hpp"

#include <algorithm>
#include <limits>
#include <numeric>
#include <queue>

namespace svc::routing {
namespace {

constexpr double kNever = std::numeric_limits<double>::infinity();

class Simulation {
 public:
  Simulation(const Trace& trace, const PolicyKind& kind, const RunSettings& settings)
      : trace_(trace),
        settings_(settings),
        fleet_{engines_,
               settings.stated_kv_tokens > 0 ? settings.stated_kv_tokens : settings.model.kv_tokens,
               !settings.kv_unstated,
               trace.block_tokens,
               settings.prefix,
               settings.seed},
        poll_at_(kNever) {
    for (std::size_t i = 0; i < settings.engines; ++i) {
      auto model = settings.model;
      if (!settings.speeds.empty()) model.speed *= settings.speeds[i % settings.speeds.size()];
      engines_.emplace_back(model, trace.block_tokens, kind.foresight);
    }
    policy_ = kind.make(fleet_);
    if (policy_->poll_interval() > 0) poll_at_ = 0;
    result_.passages.resize(trace.rows.size());
    result_.order.reserve(trace.rows.size());
    plan_arrivals();
  }

  RunResult run() {
    while (left_ > 0) {
      const auto engine = std::min_element(engines_.begin(), engines_.end(), [](const Engine& a, const Engine& b) {
        return a.next_event() < b.next_event();
      });
      const auto arrival = arrivals_.empty() ? kNever : arrivals_.top().at;
      const auto progress = engine->next_event();
      if (poll_at_ <= std::min(arrival, progress)) {
        policy_->poll(poll_at_);
        poll_at_ += policy_->poll_interval();
      } else if (progress <= arrival) {
        advance(static_cast<EngineIndex>(engine - engines_.begin()), progress);
      } else {
        arrive();
      }
    }
    for (const auto& engine : engines_) result_.computed_tokens.push_back(engine.computed_tokens());
    return std::move(result_);
  }

 private:
  struct Planned {
    double at;
    std::uint32_t row;
    bool operator>(const Planned& other) const { return at != other.at ? at > other.at : row > other.row; }
  };

  void plan_arrivals() {
    const auto& rows = trace_.rows;
    left_ = rows.size();
    followers_.resize(rows.size());
    for (std::uint32_t row = 0; row < rows.size(); ++row) {
      if (rows[row].after == Request::kNobody) {
        arrivals_.push({rows[row].at / settings_.rate, row});
      } else {
        followers_[rows[row].after].push_back(row);
      }
    }
  }

  [[nodiscard]] Arrival arrival_of(std::uint32_t row) const {
    const auto& request = trace_.rows[row];
    return {row, &request, trace_.blocks(request), result_.passages[row].arrived, result_.passages[row].cached};
  }

  void arrive() {
    const auto [now, row] = arrivals_.top();
    arrivals_.pop();
    result_.passages[row].arrived = now;
    result_.order.push_back(row);
    const auto arrival = arrival_of(row);
    if (const auto chosen = policy_->choose(arrival, now)) send(arrival, *chosen, now);
    release(now);
  }

  void send(const Arrival& arrival, EngineIndex engine, double now) {
    auto& passage = result_.passages[arrival.row];
    passage.sent = now;
    passage.engine = static_cast<std::uint32_t>(engine);
    engines_[engine].enqueue(now, arrival.job());
  }

  void release(double now) {
    while (const auto sent = policy_->release(now)) send(sent->arrival, sent->engine, now);
  }

  void advance(EngineIndex engine, double now) {
    engines_[engine].advance(progress_);
    for (const auto& [row, cached] : progress_.scheduled) result_.passages[row].cached = cached;
    for (const auto row : progress_.first_token) {
      result_.passages[row].first_token = now;
      policy_->first_token(arrival_of(row), engine, now);
    }
    for (const auto row : progress_.ended) {
      result_.passages[row].ended = now;
      policy_->ended(arrival_of(row), engine, now);
      for (const auto follower : followers_[row]) {
        arrivals_.push({now + trace_.rows[follower].think / settings_.rate, follower});
      }
      --left_;
    }
    if (!progress_.first_token.empty() || !progress_.ended.empty()) release(now);
  }

  const Trace& trace_;
  const RunSettings& settings_;
  std::vector<Engine> engines_;
  Fleet fleet_;
  std::unique_ptr<Policy> policy_;
  std::priority_queue<Planned, std::vector<Planned>, std::greater<>> arrivals_;
  std::vector<std::vector<std::uint32_t>> followers_;
  std::size_t left_ = 0;
  double poll_at_;
  Progress progress_;
  RunResult result_;
};

}  // namespace

RunResult simulate(const Trace& trace, const PolicyKind& policy, const RunSettings& settings) {
  return Simulation(trace, policy, settings).run();
}

}  // namespace svc::routing
