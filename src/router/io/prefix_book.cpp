#include "router/io/prefix_book.hpp"

#include <algorithm>

namespace svc::router {
namespace {

LaneSpec lane_spec(const UpstreamSpec& spec, const PrefixSettings& settings) {
  LaneSpec lane;
  lane.kv_tokens = spec.kv_cache_tokens > 0 ? spec.kv_cache_tokens : settings.kv_cache_tokens;
  lane.kv_stated = spec.kv_cache_tokens > 0;
  // Weights are somebody's guess of relative speeds: a start for what is learned.
  lane.prefill_rate = spec.prefill_rate > 0
                          ? spec.prefill_rate
                          : SpeedMeter::kDefaultRate * static_cast<double>(std::max<std::int64_t>(1, spec.weight));
  lane.serial = spec.cache_type == to_string(CacheType::static_cache);
  return lane;
}

}  // namespace

void PrefixBook::publish(std::shared_ptr<const RoutingTable> table) {
  const std::lock_guard guard(lock_);
  table_ = std::move(table);
  policy_.reconfigure(table_->settings().prefix);
  if (!table_->looks_at_prompts()) return;
  std::vector<bool> present(std::max(table_->slots(), lives_.size()));
  lives_.resize(present.size());
  for (const auto& upstream : table_->upstreams()) {
    const auto lane = upstream.live->slot;
    present[lane] = true;
    if (lives_[lane].lock() != upstream.live) {
      policy_.remove_lane(lane);
      lives_[lane] = upstream.live;
    }
    policy_.set_lane(lane, lane_spec(upstream.spec, table_->settings().prefix));
  }
  for (Lane lane = 0; lane < present.size(); ++lane) {
    if (present[lane]) continue;
    policy_.remove_lane(lane);
    lives_[lane].reset();
  }
}

void PrefixBook::score(const PrefixAsk& ask) {
  lanes_.clear();
  shares_.clear();
  const auto add = [&](const Upstream& upstream) {
    lanes_.push_back(upstream.live->slot);
    const bool ramps = upstream.live->ramp_began_ns.load(std::memory_order_relaxed) != 0;
    shares_.push_back(ramps ? ramp_share(*upstream.live, ask.settings->slow_start, ask.context.now) : 1.0);
  };
  resting_.clear();
  for (const auto* upstream : ask.group->primaries) {
    if (upstream->spec.weight > 0 && upstream->live->usable(ask.context.now)) {
      add(*upstream);
    } else {
      resting_.push_back(upstream);
    }
  }
  const std::size_t in_service = lanes_.size();
  for (const auto* upstream : resting_) add(*upstream);
  for (const auto* upstream : ask.group->backups) add(*upstream);
  scores_.make(policy_, policy_.view(*ask.shape, ask.model), lanes_, shares_,
               in_service > 0 ? in_service : lanes_.size(), ask.context.now);
}

PrefixChoice PrefixBook::choose(PrefixAsk ask) {
  const std::lock_guard guard(lock_);
  score(ask);
  ask.context.prefix = &scores_;
  PrefixChoice choice;
  choice.candidates = scores_.size();
  choice.picked = pick(*ask.group, *ask.settings, ask.context);
  const Upstream* upstream = choice.picked.upstream;
  if (upstream == nullptr && choice.picked.problem == PickProblem::all_busy) {
    ask.context.hold = false;
    upstream = preview(*ask.group, *ask.settings, ask.context).upstream;
    choice.held = upstream != nullptr;
  }
  const auto* appraisal = upstream != nullptr ? scores_.of(upstream->live->slot) : nullptr;
  if (appraisal == nullptr) return choice;
  choice.appraisal = *appraisal;
  if (choice.picked.upstream != nullptr) {
    choice.ticket = policy_.sent(upstream->live->slot, *appraisal, ask.streams, ask.context.now);
    remember(ask, choice);
  }
  return choice;
}

void PrefixBook::remember(const PrefixAsk& ask, const PrefixChoice& choice) {
  prompt_tokens_ += choice.appraisal.burden.tokens;
  matched_tokens_ += choice.appraisal.matched;
  if (!choice.ticket || ask.request_id.empty()) return;
  auto& decision = decisions_[choice.ticket.id % kDecisions];
  decision.id = choice.ticket.id;
  decision.request_id.assign(ask.request_id);
  decision.model.assign(ask.model);
  decision.chosen = choice.picked.upstream->spec.name;
  decision.prompt_tokens = choice.appraisal.burden.tokens;
  decision.began = ask.began;
  decision.held = std::chrono::duration<double>(ask.context.now - ask.began).count();
  decision.first_byte = -1;
  std::size_t count = 0;
  for (const auto* list : {&ask.group->primaries, &ask.group->backups}) {
    for (const auto* upstream : *list) {
      const auto* appraisal = scores_.of(upstream->live->slot);
      if (appraisal == nullptr || count == PrefixDecision::kMostShown) continue;
      if (count == decision.candidates.size()) decision.candidates.emplace_back();
      auto& candidate = decision.candidates[count++];
      candidate.name = upstream->spec.name;
      candidate.matched_tokens = appraisal->matched;
      candidate.wait = appraisal->wait;
      candidate.score = appraisal->score;
    }
  }
  decision.candidates.resize(count);
}

std::optional<PrefixDecision> PrefixBook::decision(std::string_view request_id) {
  const std::lock_guard guard(lock_);
  const PrefixDecision* last = nullptr;  // a request that is sent again has one for each attempt
  for (const auto& decision : decisions_) {
    if (decision.id == 0 || decision.request_id != request_id) continue;
    if (last == nullptr || decision.id > last->id) last = &decision;
  }
  return last != nullptr ? std::optional(*last) : std::nullopt;
}

PrefixChoice PrefixBook::outlook(PrefixAsk ask) {
  const std::lock_guard guard(lock_);
  score(ask);
  ask.context.prefix = &scores_;
  ask.context.hold = false;
  PrefixChoice choice;
  const auto* upstream = preview(*ask.group, *ask.settings, ask.context).upstream;
  const auto* appraisal = upstream != nullptr ? scores_.of(upstream->live->slot) : nullptr;
  if (appraisal == nullptr) return choice;
  choice.appraisal = *appraisal;
  choice.held = ask.settings->prefix.hold;
  return choice;
}

WaitOrder::Place PrefixBook::has_place(std::string_view asked_model, PrefixAsk ask) {
  using Place = WaitOrder::Place;
  const std::lock_guard guard(lock_);
  if (table_ == nullptr) return Place::yes;
  ask.group = table_->find(asked_model);
  ask.settings = &table_->settings();
  // Nobody serves it any more, or another method does: the request must find out itself.
  if (ask.group == nullptr || ask.group->method != Method::prefix_aware) return Place::yes;
  ask.context.hold = ask.context.hold && ask.settings->prefix.hold;
  score(ask);
  ask.context.prefix = &scores_;
  const auto picked = preview(*ask.group, *ask.settings, ask.context);
  if (picked.upstream != nullptr || picked.problem != PickProblem::all_busy) return Place::yes;
  return ask.context.hold && !scores_.any_open() ? Place::nobody : Place::no;
}

void PrefixBook::cached(LoadTicket& ticket, const PromptShape& shape) {
  const std::lock_guard guard(lock_);
  policy_.cached(ticket, shape);
}

void PrefixBook::answered(LoadTicket& ticket, const PromptShape& shape, bool taken) {
  const std::lock_guard guard(lock_);
  policy_.answered(ticket, shape, taken);
}

void PrefixBook::first_byte(const LoadTicket& ticket, TimePoint now) {
  const std::lock_guard guard(lock_);
  policy_.first_byte(ticket, now);
  auto& decision = decisions_[ticket.id % kDecisions];
  if (decision.id == ticket.id) decision.first_byte = std::chrono::duration<double>(now - decision.began).count();
  if (ticket.predicted_wait <= 0 || !ticket.burden.streams) return;
  const double ratio = std::max(0.0, seconds_between(ticket.sent, now)) / ticket.predicted_wait;
  const auto bound = std::lower_bound(kRatioBounds.begin(), kRatioBounds.end(), ratio);
  ++real_over_predicted_[static_cast<std::size_t>(bound - kRatioBounds.begin())];
  real_over_predicted_sum_ += ratio;
}

void PrefixBook::ended(const LoadTicket& ticket, const PromptShape& shape, std::string_view model,
                       const Outcome& outcome, TimePoint now) {
  const std::lock_guard guard(lock_);
  policy_.ended(ticket, shape, model, outcome, now);
}

std::vector<PrefixBook::Opinion> PrefixBook::opinions(const PrefixAsk& ask) {
  const std::lock_guard guard(lock_);
  score(ask);
  std::vector<Opinion> all;
  for (const auto* list : {&ask.group->primaries, &ask.group->backups}) {
    for (const auto* upstream : *list) {
      if (const auto* appraisal = scores_.of(upstream->live->slot)) all.push_back({upstream, *appraisal});
    }
  }
  return all;
}

PrefixBook::Facts PrefixBook::facts() {
  Facts facts;
  const std::lock_guard guard(lock_);
  if (table_ == nullptr || !table_->looks_at_prompts()) return facts;
  facts.used = true;
  facts.prompt_tokens = prompt_tokens_;
  facts.matched_tokens = matched_tokens_;
  facts.real_over_predicted = real_over_predicted_;
  facts.real_over_predicted_sum = real_over_predicted_sum_;
  facts.index_bytes = policy_.index().bytes();
  facts.index_entries = policy_.index().entries();
  double blocks = 0;
  for (const auto& upstream : table_->upstreams()) {
    const auto lane = upstream.live->slot;
    const auto* load = policy_.load(lane);
    if (load == nullptr) continue;
    facts.lanes.push_back({upstream.spec.name, load->active(), load->decoding(), load->uncached(),
                           load->speed().prefill_rate(), load->speed().piece_rate(), policy_.index().held_blocks(lane),
                           policy_.index().held_units(lane)});
    blocks += static_cast<double>(facts.lanes.back().index_blocks);
  }
  for (auto& lane : facts.lanes) {
    lane.index_bytes =
        static_cast<double>(facts.index_bytes) * static_cast<double>(lane.index_blocks) / std::max(1.0, blocks);
  }
  for (const auto& [model, ratio] : policy_.ratios()) facts.bytes_per_token_factor.emplace_back(model, ratio.factor());
  return facts;
}

std::vector<std::shared_ptr<UpstreamLive>> PrefixBook::stalled(TimePoint now) {
  std::vector<std::shared_ptr<UpstreamLive>> found;
  const std::lock_guard guard(lock_);
  if (table_ == nullptr || !table_->looks_at_prompts()) return found;
  for (const auto& upstream : table_->upstreams()) {
    if (upstream.live->held_up()) continue;
    const TimePoint heard{Duration(upstream.live->last_heard_ns.load(std::memory_order_relaxed))};
    if (policy_.stalled(upstream.live->slot, now, heard) != LaneLoad::Stall::none) found.push_back(upstream.live);
  }
  return found;
}

}  // namespace svc::router
