// The router's own policy, prefix_aware, by the router's own code: src/router/core/prefix and wait_order. It knows what it
// sent where, when answers began and ended, and what engines say of their tokens at the end; nothing else.
#include <unordered_map>

#include "bench/routing/policies.hpp"
#include "bench/routing/router_table.hpp"
#include "router/core/prefix/prefix_policy.hpp"
#include "router/core/wait_order.hpp"

namespace svc::routing {
namespace {

constexpr std::string_view kModel = "model";
constexpr std::uint32_t kUnitsPerToken = 4;  // what a byte of text is worth has to be learned

Duration seconds(double value) { return Duration(static_cast<Duration::rep>(value * 1e9)); }

class PrefixAware : public Policy {
 public:
  PrefixAware(const Fleet& fleet, const router::PrefixSettings& settings)
      : fleet_(fleet), table_(fleet, settings_of(settings)), policy_(settings), random_(fleet.seed) {
    router::LaneSpec spec;
    spec.kv_tokens = fleet.kv_stated ? fleet.kv_tokens : settings.kv_cache_tokens;
    spec.kv_stated = fleet.kv_stated;
    for (router::Lane lane = 0; lane < fleet.engines.size(); ++lane) {
      policy_.set_lane(lane, spec);
      lanes_.push_back(lane);
    }
  }

  std::optional<EngineIndex> choose(const Arrival& arrival, double now) override {
    const auto context = context_of(arrival, now);
    if (order_.empty()) {
      if (const auto engine = table_.pick(context)) {
        send(arrival, *engine, now);
        return engine;
      }
    }
    // Its best instance has enough to do, or others wait: then it is seen at once whose turn it is.
    auto unheld = context;
    unheld.hold = false;
    router::WaitItem item;
    item.id = next_id_++;
    item.since = context.now;
    item.seconds = scores_.of(lanes_[*table_.preview(unheld)])->own;
    order_.add(item);
    held_.emplace(item.id, arrival);
    return std::nullopt;
  }

  std::optional<Sent> release(double now) override {
    using Place = router::WaitOrder::Place;
    if (order_.empty()) return std::nullopt;
    router::PickContext context;  // of the one that was asked about last
    const auto ready = [&](std::uint64_t id) {
      context = context_of(held_.at(id), now);
      if (table_.preview(context)) return Place::yes;
      return scores_.any_open() ? Place::no : Place::nobody;
    };
    const router::WaitRule rule{true, policy_.settings().aging};
    const auto id = order_.next(rule, ready);
    if (!id) return std::nullopt;
    order_.take(*id);
    const auto arrival = held_.extract(*id).mapped();
    const auto engine = *table_.pick(context);
    send(arrival, engine, now);
    return Sent{arrival, engine};
  }

  void first_token(const Arrival& arrival, EngineIndex /*engine*/, double now) override {
    auto& open = open_.at(arrival.row);
    open.begun = now;
    policy_.first_byte(open.ticket, time_point(now));
  }

  void ended(const Arrival& arrival, EngineIndex engine, double now) override {
    table_.ended(engine);
    const auto open = open_.extract(arrival.row).mapped();
    router::Outcome outcome;
    outcome.complete = true;
    outcome.pieces = outcome.completion_tokens = arrival.request->out;
    outcome.streaming = outcome.answering = seconds(now - open.begun);
    outcome.prompt_tokens = arrival.request->in;
    outcome.cached_tokens = arrival.cached;
    policy_.ended(open.ticket, shape_of(arrival), kModel, outcome, time_point(now));
  }

 private:
  static router::BalancingSettings settings_of(const router::PrefixSettings& prefix) {
    router::BalancingSettings settings;
    settings.method = router::Method::prefix_aware;
    settings.prefix = prefix;
    return settings;
  }

  struct Open {
    router::LoadTicket ticket;
    double begun = 0;
  };

  /// As of a prompt in plain text. Traces do not tell which blocks an answer becomes, so no answer has a name here.
  const router::PromptShape& shape_of(const Arrival& arrival) {
    if (shaped_ == arrival.row) return shape_;
    shaped_ = arrival.row;
    shape_.clear();
    std::uint32_t end = 0;
    for (const auto id : arrival.blocks) {
      end += fleet_.block_tokens * kUnitsPerToken;
      shape_.blocks.push_back({router::answer_marker(id), end, 0});
    }
    shape_.units = std::uint64_t{arrival.request->in} * kUnitsPerToken;
    return shape_;
  }

  /// Of a pick that knows what the request would meet with everywhere: in scores_.
  router::PickContext context_of(const Arrival& arrival, double now) {
    router::PickContext context;
    context.now = time_point(now);
    context.random = random_();
    context.hold = policy_.settings().hold;
    context.prefix = &scores_;
    scores_.make(policy_, policy_.view(shape_of(arrival), kModel), lanes_, {}, lanes_.size(), context.now);
    return context;
  }

  /// With the scores of its pick.
  void send(const Arrival& arrival, EngineIndex engine, double now) {
    auto& open = open_[arrival.row];
    open.ticket = policy_.sent(lanes_[engine], *scores_.of(lanes_[engine]), true, time_point(now));
    policy_.cached(open.ticket, shape_of(arrival));
  }

  const Fleet fleet_;
  RouterTable table_;
  router::PrefixPolicy policy_;
  router::WaitOrder order_;
  std::mt19937_64 random_;
  std::vector<router::Lane> lanes_;
  router::PrefixScores scores_;
  router::PromptShape shape_;  // of row shaped_
  std::uint32_t shaped_ = ~std::uint32_t{0};
  std::unordered_map<std::uint32_t, Open> open_;  // by row
  std::unordered_map<std::uint64_t, Arrival> held_;
  std::uint64_t next_id_ = 1;
};

}  // namespace

std::unique_ptr<Policy> make_prefix_aware(const Fleet& fleet) {
  auto settings = fleet.prefix;
  settings.hold = false;
  return std::make_unique<PrefixAware>(fleet, settings);
}

std::unique_ptr<Policy> make_prefix_aware_hold(const Fleet& fleet) {
  auto settings = fleet.prefix;
  settings.hold = true;
  return std::make_unique<PrefixAware>(fleet, settings);
}

}  // namespace svc::routing
