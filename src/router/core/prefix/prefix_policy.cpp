#include "router/core/prefix/prefix_policy.hpp"

#include <algorithm>
#include <cmath>

namespace svc::router {
namespace {

constexpr double kUnitsWeight = 0.01;      // of a new prompt, in units_per_token_
constexpr std::uint64_t kLeastUnits = 64;  // of it: else the template's own tokens would be most of it
constexpr double kMostUnits = 1e18;        // of a cache, whatever an instance says of it
constexpr std::uint64_t kEverything = 1ULL << 62U;
constexpr double kResizeAbove = 0.05;  // a change of units_per_token_ that is worth new capacities

}  // namespace

PrefixPolicy::PrefixPolicy(const PrefixSettings& settings) : settings_(settings), index_(settings.index_max_bytes) {}

void PrefixPolicy::reconfigure(const PrefixSettings& settings) {
  const bool anew =
      settings.block_bytes != settings_.block_bytes || settings.index_max_bytes != settings_.index_max_bytes;
  settings_ = settings;
  if (!anew) return;
  index_ = PrefixIndex(settings.index_max_bytes);
  for (Lane lane = 0; lane < lanes_.size(); ++lane) {
    if (lanes_[lane].generation != 0) index_.set_capacity(lane, index_units(lanes_[lane]));
  }
}

std::uint64_t PrefixPolicy::index_units(const LaneState& state) const {
  const double units = static_cast<double>(state.load.spec().kv_tokens) * state.capacity * units_per_token_;
  return static_cast<std::uint64_t>(std::min(units, kMostUnits));
}

/// What the index says that a cache has and the engine says it has not was pushed out there: the cache is smaller than
/// thought. Hits as predicted from a full index mean that it may be larger.
void PrefixPolicy::learn_capacity(Lane lane, LaneState& state, double predicted, double reported) {
  if (state.load.spec().kv_stated || state.load.spec().serial || predicted < kLeastTold) return;
  state.told += (std::min(1.0, reported / predicted) - state.told) * 0.05;
  const double before = state.capacity;
  if (state.told < 0.7) {
    state.capacity = std::max(0.05, state.capacity * 0.8);
    state.told = 0.85;
  } else if (state.told > 0.95 && index_.held_units(lane) * 10 > index_units(state) * 9) {
    state.capacity = std::min(16.0, state.capacity * 1.02);
  }
  if (state.capacity != before) index_.set_capacity(lane, index_units(state));
}

void PrefixPolicy::set_lane(Lane lane, const LaneSpec& spec) {
  if (lane >= PrefixIndex::kMaxLanes) return;
  if (lane >= lanes_.size()) lanes_.resize(lane + 1);
  auto& state = lanes_[lane];
  if (state.generation == 0) {
    state.load = LaneLoad(spec);
    state.generation = next_generation_++;
  } else if (state.load.spec() == spec) {
    return;
  } else {
    state.load.respec(spec);
  }
  index_.set_capacity(lane, index_units(state));
}

void PrefixPolicy::remove_lane(Lane lane) {
  if (lane >= lanes_.size() || lanes_[lane].generation == 0) return;
  lanes_[lane] = LaneState();
  index_.remove(lane);
}

PrefixPolicy::LaneState* PrefixPolicy::live(const LoadTicket& ticket) {
  if (!ticket || ticket.lane >= lanes_.size()) return nullptr;
  auto& state = lanes_[ticket.lane];
  return state.generation == ticket.generation ? &state : nullptr;
}

const LaneLoad* PrefixPolicy::load(Lane lane) const {
  return lane < lanes_.size() && lanes_[lane].generation != 0 ? &lanes_[lane].load : nullptr;
}

PromptView PrefixPolicy::view(const PromptShape& shape, std::string_view model) const {
  const auto ratio = ratios_.find(std::string(model));
  const double factor = ratio != ratios_.end() ? ratio->second.factor() : 1.0;
  return {&shape, std::max(1.0, TokenRatio::guess(shape) * factor)};
}

void PrefixPolicy::appraise(const PromptView& prompt, std::span<const Lane> lanes, std::span<const double> shares,
                            std::size_t in_service, TimePoint now, std::vector<Appraisal>& out) {
  out.clear();
  index_.match(*prompt.shape);
  double reference = 0;
  std::size_t known = 0;
  for (const Lane lane : lanes) {
    if (const auto* of = load(lane); of != nullptr) {
      reference += of->speed().prefill_rate();
      ++known;
    }
  }
  reference = known > 0 ? reference / static_cast<double>(known) : SpeedMeter::kDefaultRate;
  for (std::size_t i = 0; i < lanes.size(); ++i) {
    out.push_back(appraise_one(prompt, lanes[i], i < shares.size() ? shares[i] : 1.0, reference, now));
  }
  charge_for_pushing_out(out, std::min(in_service, out.size()));
}

/// What is pushed out of a cache may be asked for again, the sooner the younger it is (Preble, 2024, has a price for it
/// too, by how often it was asked for). Were all caches one, the oldest of them all would go: so the price is by the age
/// of what each would lose, compared with that. One that is hardly ever picked grows old without end: it says nothing of
/// the others, so that twice the median is as old as it gets.
void PrefixPolicy::charge_for_pushing_out(std::vector<Appraisal>& all, std::size_t in_service) {
  ages_.clear();
  for (std::size_t i = 0; i < in_service; ++i) {
    if (all[i].age) ages_.push_back(*all[i].age);
  }
  const bool room = ages_.size() < in_service;
  double oldest = 1;
  if (!ages_.empty()) {
    const auto middle = ages_.begin() + static_cast<std::ptrdiff_t>(ages_.size() / 2);
    std::nth_element(ages_.begin(), middle, ages_.end());
    oldest = std::max(1.0, std::min(2 * *middle, *std::max_element(middle, ages_.end())));
  }
  for (auto& its : all) {
    if (!its.age) continue;
    // What a key is worth is a matter of kKeyShare alone: it pays what the cheapest of the others does.
    const double least = room ? 0 : 1;
    its.score += kPushedOut * its.own * (its.keyed ? least : 2 - std::min(1.0, *its.age / oldest));
  }
}

Appraisal PrefixPolicy::appraise_one(const PromptView& prompt, Lane lane, double share, double reference,
                                     TimePoint now) {
  Appraisal result;
  const double tokens = prompt.tokens;
  const auto units = static_cast<double>(std::max<std::uint64_t>(1, prompt.shape->units));
  result.matched = std::min(tokens - 1, tokens * static_cast<double>(index_.matched(lane)) / units);
  const double uncached = std::max(1.0, tokens - result.matched);
  result.burden.uncached = uncached;
  result.burden.tokens = tokens;
  result.burden.work = uncached * (1 + (tokens - uncached / 2) / kDepthTokens);

  double rate = reference;
  double ahead = 0;
  double disturbed = 0;
  double full = 0;
  if (lane < lanes_.size() && lanes_[lane].generation != 0) {
    auto& load = lanes_[lane].load;
    if (std::abs(load.speed().prefill_rate() / reference - 1) > kSameSpeed) rate = load.speed().prefill_rate();
    ahead = load.queued_work(now);
    disturbed = uncached * (kCrowding * static_cast<double>(load.waiting()) + kDisturbance * load.decoding());
    full = (load.active_tokens() + tokens) / static_cast<double>(std::max<std::uint64_t>(1, load.spec().kv_tokens));
    result.open = load.uncached() < settings_.hold_prefill_seconds * rate;
    if (load.spec().serial) result.open = load.active() == 0;
  }
  rate *= std::clamp(share, 0.01, 1.0);
  result.own = uncached / rate;
  result.wait = (ahead + result.burden.work) / rate;
  result.keyed = result.matched <= 0 && index_.keyed(lane);
  const double trusted = result.keyed ? kKeyShare * result.burden.work : 0;
  const bool one_only = lane < lanes_.size() && lanes_[lane].load.spec().serial;
  const auto more = static_cast<double>(prompt.shape->units) * uncached / tokens;
  result.age = index_.age_of_oldest(lane, one_only ? kEverything : static_cast<std::uint64_t>(more));
  result.score = result.wait - trusted / rate + disturbed / rate + kFullSeconds * std::max(0.0, full - kFullShare);
  return result;
}

LoadTicket PrefixPolicy::sent(Lane lane, const Appraisal& appraisal, bool streams, TimePoint now) {
  if (lane >= lanes_.size() || lanes_[lane].generation == 0) return {};
  LoadTicket ticket{lane, lanes_[lane].generation, next_id_++, appraisal.burden, appraisal.wait, now};
  ticket.burden.streams = streams;
  lanes_[lane].load.sent(ticket.id, ticket.burden, now);
  return ticket;
}

void PrefixPolicy::cached(LoadTicket& ticket, const PromptShape& shape) {
  auto* state = live(ticket);
  if (state == nullptr || ticket.stake) return;
  if (state->load.spec().serial) index_.clear(ticket.lane);
  ticket.stake = index_.insert(ticket.lane, shape);
}

void PrefixPolicy::answered(LoadTicket& ticket, const PromptShape& shape, bool taken) {
  if (live(ticket) == nullptr || !ticket.stake) return;
  index_.settle(ticket.lane, shape, *ticket.stake, taken);
  ticket.stake = PrefixIndex::Stake{};  // nothing is left of it
}

void PrefixPolicy::first_byte(const LoadTicket& ticket, TimePoint now) {
  if (auto* state = live(ticket); state != nullptr) state->load.first_byte(ticket.id, now);
}

void PrefixPolicy::ended(const LoadTicket& ticket, const PromptShape& shape, std::string_view model,
                         const Outcome& outcome, TimePoint now) {
  if (outcome.complete && outcome.prompt_tokens > 0) {
    auto ratio = ratios_.find(std::string(model));
    if (ratio == ratios_.end() && ratios_.size() < kMostRatios) ratio = ratios_.try_emplace(std::string(model)).first;
    if (ratio != ratios_.end()) ratio->second.learn(shape, outcome.prompt_tokens);
  }
  // What is not read as a prompt here, documents to rank say, tells nothing of how text becomes tokens.
  if (outcome.complete && outcome.prompt_tokens > 0 && shape.units >= kLeastUnits) {
    const double sample = static_cast<double>(shape.units) / static_cast<double>(outcome.prompt_tokens);
    const double before = units_per_token_;
    units_per_token_ += (std::clamp(sample, 0.5, 16.0) - units_per_token_) * kUnitsWeight;
    // Capacities follow in steps: each costs a look at every lane.
    const auto step = [](double value) { return std::floor(std::log(value) / kResizeAbove); };
    if (step(before) != step(units_per_token_)) {
      for (Lane lane = 0; lane < lanes_.size(); ++lane) {
        if (lanes_[lane].generation != 0) index_.set_capacity(lane, index_units(lanes_[lane]));
      }
    }
  }
  auto* state = live(ticket);
  if (state == nullptr) return;
  state->load.ended(ticket.id, ticket.burden, outcome.complete, now);
  if (ticket.stake) index_.settle(ticket.lane, shape, *ticket.stake, outcome.complete);
  if (!outcome.complete) return;
  if (outcome.cached_tokens) {
    learn_capacity(ticket.lane, *state, ticket.burden.tokens - ticket.burden.uncached,
                   static_cast<double>(*outcome.cached_tokens));
  }
  state->load.learn_stream(outcome.pieces, outcome.streaming);
  state->load.learn_answer(outcome.answering);
  const double generated = outcome.completion_tokens > 0 ? static_cast<double>(outcome.completion_tokens)
                                                         : static_cast<double>(outcome.pieces);
  index_.insert_answer(ticket.lane, shape.end_hash,
                       static_cast<std::uint32_t>(std::min(1e9, generated * units_per_token_)));
}

LaneLoad::Stall PrefixPolicy::stalled(Lane lane, TimePoint now, TimePoint heard) const {
  const auto* of = load(lane);
  return of != nullptr ? of->stalled(now, heard) : LaneLoad::Stall::none;
}

}  // namespace svc::router
