// Chooses the instance where a request finishes soonest: least prefill outstanding plus own prefill that its cache does not
// save, with a price for disturbing answers in progress and for a full cache. All of it from the router's own knowledge:
// what it sent where, when answers began and ended. docs/routing.md has the rule, its sources and its measurements.
//
// One for the router; pure, not thread-safe. A lane is an instance's incarnation.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "router/core/prefix/lane_load.hpp"
#include "router/core/prefix/prefix_index.hpp"
#include "router/core/prefix/token_ratio.hpp"

namespace svc::router {

struct PrefixSettings {
  std::uint32_t block_bytes = 256;            ///< of prompt text, for each hash
  std::size_t index_max_bytes = 256U << 20U;  ///< memory of the index, in all
  std::uint64_t kv_cache_tokens = 131'072;    ///< of instances that state none: InfiniLM's default
  bool hold = false;                          ///< keep requests back while their best instance has enough to do
  double hold_prefill_seconds = 0.75;         ///< what is enough
  double aging = 0.01;                        ///< seconds of prefill that a second of waiting is worth

  bool operator==(const PrefixSettings&) const = default;
};

/// One prompt as all lanes see it.
struct PromptView {
  const PromptShape* shape = nullptr;
  double tokens = 0;  ///< estimated, at least 1
};

/// What sending a prompt to a lane would mean.
struct Appraisal {
  double score = 0;  ///< seconds; the least is the best
  Burden burden;
  double matched = 0;           ///< tokens that its cache saves
  double own = 0;               ///< seconds of its own prefill
  double wait = 0;              ///< predicted seconds to the first byte
  std::optional<double> age{};  ///< of what its cache would forget for it first, in requests; none: it has room
  bool keyed = false;           ///< it had a prompt with the same prompt_cache_key, and has no text of this one
  bool open = true;             ///< it has less prefill outstanding than hold_prefill_seconds
};

/// A request that was sent. Of a lane that is gone since, or begun anew, it counts nowhere.
struct LoadTicket {
  Lane lane = 0;
  std::uint32_t generation = 0;  ///< 0 = no ticket
  std::uint64_t id = 0;
  Burden burden;
  double predicted_wait = 0;
  TimePoint sent{};
  std::optional<PrefixIndex::Stake> stake{};  ///< cached() was called, and whether it is true is not known yet

  explicit operator bool() const { return generation != 0; }
};

/// How a request went, for what is learned from it.
struct Outcome {
  bool complete = false;                                   ///< the whole answer came
  std::uint64_t pieces = 0;                                ///< of a streamed answer
  Duration streaming{};                                    ///< from its first piece to its last
  Duration answering{};                                    ///< from its first byte to its end
  std::uint64_t prompt_tokens = 0, completion_tokens = 0;  ///< as the engine said; 0 = it did not
  std::optional<std::uint64_t> cached_tokens{};            ///< the same
};

class PrefixPolicy {
 public:
  explicit PrefixPolicy(const PrefixSettings& settings);
  /// What is in the index stays, unless the size of blocks or of the index changes.
  void reconfigure(const PrefixSettings& settings);
  [[nodiscard]] const PrefixSettings& settings() const { return settings_; }

  /// A lane that is new, or whose spec changed. One that was removed begins anew.
  void set_lane(Lane lane, const LaneSpec& spec);
  void remove_lane(Lane lane);

  /// The prompt with its tokens, by what is known of the model.
  [[nodiscard]] PromptView view(const PromptShape& shape, std::string_view model) const;
  /// One appraisal for each of `lanes`, in their order. `shares`: of its speed that each may use at present (0 to 1], for
  /// slow start; empty: all of it. The first `in_service` of them can be picked at present: what the others have in their
  /// caches is no measure for these. A lane that is unknown is appraised as empty.
  void appraise(const PromptView& prompt, std::span<const Lane> lanes, std::span<const double> shares,
                std::size_t in_service, TimePoint now, std::vector<Appraisal>& out);

  /// The request goes to the lane. Pair with ended().
  LoadTicket sent(Lane lane, const Appraisal& appraisal, bool streams, TimePoint now);
  /// Its prompt is in the lane's cache from now on. May come any time after sent(): it costs more than the choice. Once for
  /// each ticket; further calls do nothing.
  void cached(LoadTicket& ticket, const PromptShape& shape);
  /// The lane has taken the request, or refused it: then it is not in its cache. Where this is not called, ended() knows
  /// it: what was not answered was not computed.
  void answered(LoadTicket& ticket, const PromptShape& shape, bool taken);
  void first_byte(const LoadTicket& ticket, TimePoint now);
  void ended(const LoadTicket& ticket, const PromptShape& shape, std::string_view model, const Outcome& outcome,
             TimePoint now);

  /// Seconds of prefill that are worth waiting for in the queue's order: smaller goes first.
  [[nodiscard]] double hold_key(double uncached_seconds, double waited_seconds) const {
    return uncached_seconds - settings_.aging * waited_seconds;
  }

  /// nullptr: unknown.
  [[nodiscard]] const LaneLoad* load(Lane lane) const;
  [[nodiscard]] const PrefixIndex& index() const { return index_; }
  [[nodiscard]] LaneLoad::Stall stalled(Lane lane, TimePoint now, TimePoint heard) const;
  /// By model, for metrics.
  [[nodiscard]] const std::unordered_map<std::string, TokenRatio>& ratios() const { return ratios_; }

  // The constants of the rule; sources and sensitivity: docs/routing.md.
  static constexpr double kDepthTokens = 120'000;  ///< at this depth of context a token costs twice as much to prefill
  static constexpr double kCrowding = 1;           ///< of own prefill, for each that waits: so many will come behind it
  static constexpr double kDisturbance = 0.02;     ///< of own prefill, for each answer in progress that it slows down
  static constexpr double kFullShare = 0.8;        ///< of the cache, from which on it is too full
  static constexpr double kFullSeconds = 5;        ///< what a cache that is twice as full would cost
  static constexpr double kPushedOut = 0.3;  ///< of own prefill, for the oldest that is cached anywhere; twice for new
  static constexpr double kKeyShare = 0.25;  ///< of its prefill, what a prompt_cache_key is worth where no text matches
  static constexpr double kLeastTold = 512;  ///< predicted hits of fewer tokens teach nothing of a cache's size
  static constexpr double kSameSpeed = 0.15;  ///< speeds that differ less than this count as equal
  static constexpr std::size_t kMostRatios = 1024;

 private:
  struct LaneState {
    LaneLoad load;
    std::uint32_t generation = 0;  // 0 = no such lane
    double told = 1;               // reported over predicted cached tokens, lately
    double capacity = 1;           // learned: of kv_tokens
  };
  [[nodiscard]] LaneState* live(const LoadTicket& ticket);
  [[nodiscard]] std::uint64_t index_units(const LaneState& state) const;
  void learn_capacity(Lane lane, LaneState& state, double predicted, double reported);
  void charge_for_pushing_out(std::vector<Appraisal>& all, std::size_t in_service);
  [[nodiscard]] Appraisal appraise_one(const PromptView& prompt, Lane lane, double share, double reference,
                                       TimePoint now);

  PrefixSettings settings_;
  PrefixIndex index_;
  std::vector<LaneState> lanes_;
  std::vector<double> ages_;  // scratch
  std::unordered_map<std::string, TokenRatio> ratios_;
  double units_per_token_ = TokenRatio::kLatin;  // of all prompts lately: what a cache of so many tokens holds in text
  std::uint32_t next_generation_ = 1;
  std::uint64_t next_id_ = 1;
};

}  // namespace svc::router
