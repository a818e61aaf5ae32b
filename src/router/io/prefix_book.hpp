// What all data threads together know for prefix_aware: one PrefixPolicy under a lock, kept in step with the routing table.
// Every call takes a few microseconds at most; none calls back.
#pragma once

#include <array>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "router/core/pick.hpp"
#include "router/core/prefix/prefix_policy.hpp"
#include "router/core/routing_table.hpp"
#include "router/core/wait_order.hpp"

namespace svc::router {

/// A request, as the choice needs it. What it points to stays where it is.
struct PrefixAsk {
  const Group* group = nullptr;
  const BalancingSettings* settings = nullptr;
  const PromptShape* shape = nullptr;
  std::string_view model;  ///< as it is served
  PickContext context;     ///< `prefix` is filled in; `hold` says whether it may be kept back
  bool streams = false;
  std::string_view request_id{};  ///< "" = it is not to be remembered
  TimePoint began{};              ///< of the request
};

struct PrefixChoice {
  PickResult picked;
  LoadTicket ticket;    ///< when one was picked and counted
  Appraisal appraisal;  ///< of the one that was picked, or that is waited for
  bool held = false;    ///< none was picked, and one would be for a request that may not be held
  std::size_t candidates = 0;
};

/// One choice that was made, and what became of it. Times in seconds; negative: not known (yet).
struct PrefixDecision {
  struct Candidate {
    std::string name;
    double matched_tokens = 0, wait = 0, score = 0;
  };
  std::uint64_t id = 0;  ///< of the ticket; 0 = none
  std::string request_id, model, chosen;
  double prompt_tokens = 0, held = 0, first_byte = -1;
  TimePoint began{};
  std::vector<Candidate> candidates;  ///< at most kMostShown
  static constexpr std::size_t kMostShown = 32;
};

class PrefixBook {
 public:
  PrefixBook() : policy_(PrefixSettings{}) {}

  /// The table that requests are routed by from now on. Control thread.
  void publish(std::shared_ptr<const RoutingTable> table);

  // Any thread.
  PrefixChoice choose(PrefixAsk ask);
  /// Where it would be answered soonest, of a request that has to wait for others: nothing is picked.
  [[nodiscard]] PrefixChoice outlook(PrefixAsk ask);
  /// Would choose() find a place for it now, in the newest table? `nobody`: every instance of its group has enough to do
  /// for requests that may be held. Nothing is counted.
  [[nodiscard]] WaitOrder::Place has_place(std::string_view asked_model, PrefixAsk ask);
  /// Its prompt was sent.
  void cached(LoadTicket& ticket, const PromptShape& shape);
  /// Its answer has begun: it was taken, or refused.
  void answered(LoadTicket& ticket, const PromptShape& shape, bool taken);
  void first_byte(const LoadTicket& ticket, TimePoint now);
  void ended(const LoadTicket& ticket, const PromptShape& shape, std::string_view model, const Outcome& outcome,
             TimePoint now);

  /// How the request would be appraised everywhere, for /explain. In the order of the group's primaries and backups.
  struct Opinion {
    const Upstream* upstream;
    Appraisal appraisal;
  };
  [[nodiscard]] std::vector<Opinion> opinions(const PrefixAsk& ask);
  /// One of the last kDecisions, by its request's id.
  [[nodiscard]] std::optional<PrefixDecision> decision(std::string_view request_id);
  static constexpr std::size_t kDecisions = 256;
  /// For metrics; those of the present table.
  static constexpr std::array<double, 8> kRatioBounds = {0.25, 0.5, 0.75, 1, 1.5, 2, 4, 8};
  struct LaneFacts {
    std::string name;
    std::uint32_t active = 0, decoding = 0;
    double queued_tokens = 0, prefill_rate = 0, piece_rate = 0;
    std::size_t index_blocks = 0;
    std::uint64_t index_units = 0;
    double index_bytes = 0;  ///< its share of all, by blocks: those of several instances are stored once
  };
  struct Facts {
    bool used = false;  ///< some model's method is prefix_aware
    std::vector<LaneFacts> lanes;
    double prompt_tokens = 0, matched_tokens = 0;  ///< of all that was sent
    std::array<std::uint64_t, kRatioBounds.size() + 1> real_over_predicted{};
    double real_over_predicted_sum = 0;
    std::size_t index_bytes = 0, index_entries = 0;
    std::vector<std::pair<std::string, double>> bytes_per_token_factor;  ///< by model
  };
  [[nodiscard]] Facts facts();
  /// Instances of the present table whose answers have stopped making progress.
  [[nodiscard]] std::vector<std::shared_ptr<UpstreamLive>> stalled(TimePoint now);

 private:
  void score(const PrefixAsk& ask);
  void remember(const PrefixAsk& ask, const PrefixChoice& choice);

  std::mutex lock_;
  PrefixPolicy policy_;
  std::shared_ptr<const RoutingTable> table_;
  std::vector<std::weak_ptr<UpstreamLive>> lives_;  // by lane
  PrefixScores scores_;
  std::vector<PrefixDecision> decisions_ = std::vector<PrefixDecision>(kDecisions);  // by ticket id, modulo
  double prompt_tokens_ = 0, matched_tokens_ = 0, real_over_predicted_sum_ = 0;
  std::array<std::uint64_t, kRatioBounds.size() + 1> real_over_predicted_{};
  // Scratch.
  std::vector<Lane> lanes_;
  std::vector<double> shares_;
  std::vector<const Upstream*> resting_;
};

}  // namespace svc::router
