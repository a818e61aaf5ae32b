// The rules by which other routers choose, written from their descriptions and run with their defaults.
#include <algorithm>

#include "bench/routing/lane_book.hpp"
#include "bench/routing/policies.hpp"

namespace svc::routing {
namespace {

/// SGLang's router, policy cache_aware: the longest match wins where it is long enough and the load is even; else
/// whoever has the fewest requests.
class CacheAware : public BookedPolicy {
 public:
  using BookedPolicy::BookedPolicy;

 private:
  static constexpr double kMatchThreshold = 0.5;
  static constexpr double kAbsoluteImbalance = 32, kRelativeImbalance = 1.1;

  EngineIndex pick(const Arrival& arrival) override {
    double most = 0;
    double fewest = static_cast<double>(book_[0].active);
    std::size_t longest = 0;
    for (EngineIndex engine = 0; engine < book_.size(); ++engine) {
      const auto active = static_cast<double>(book_[engine].active);
      most = std::max(most, active);
      fewest = std::min(fewest, active);
      longest = std::max(longest, depth(arrival, engine));
    }
    const bool uneven = most - fewest > kAbsoluteImbalance && most > kRelativeImbalance * fewest;
    const auto matched = static_cast<double>(longest) * fleet_.block_tokens;
    if (uneven || matched <= kMatchThreshold * arrival.request->in) {
      return least([&](EngineIndex engine) { return static_cast<double>(book_[engine].active); });
    }
    // Of those that have all of it, the one that used the end of it last.
    return least([&](EngineIndex engine) {
      const auto touched = book_[engine].index.touched(arrival.blocks[longest - 1]);
      return depth(arrival, engine) < longest ? 1.0 : -static_cast<double>(touched.value_or(0));
    });
  }
};

/// The scorers of the Gateway API inference extension and llm-d in their usual weights: prefix 3, queue 2, KV cache 2.
/// Queue and cache are read from the engines ten times a second.
class Gateway : public BookedPolicy {
 public:
  explicit Gateway(const Fleet& fleet)
      : BookedPolicy(fleet), waiting_(fleet.engines.size()), usage_(fleet.engines.size()) {}

  [[nodiscard]] double poll_interval() const override { return 0.1; }
  void poll(double /*now*/) override {
    for (EngineIndex engine = 0; engine < waiting_.size(); ++engine) {
      waiting_[engine] = static_cast<double>(fleet_.engines[engine].waiting());
      usage_[engine] = fleet_.engines[engine].kv_usage();
    }
  }

 private:
  static constexpr double kPrefix = 3, kQueue = 2, kCache = 2;

  EngineIndex pick(const Arrival& arrival) override {
    const double fewest = *std::min_element(waiting_.begin(), waiting_.end());
    const double most = *std::max_element(waiting_.begin(), waiting_.end());
    return least([&](EngineIndex engine) {
      const auto matched = static_cast<double>(depth(arrival, engine)) * fleet_.block_tokens / arrival.request->in;
      const auto queue = most > fewest ? (most - waiting_[engine]) / (most - fewest) : 1;
      return -(kPrefix * matched + kQueue * queue + kCache * (1 - usage_[engine]));
    });
  }

  std::vector<double> waiting_, usage_;
};

/// NVIDIA Dynamo's cost, in blocks: prefill outstanding and own beyond the match, times a weight, and what decoding
/// requests keep in memory, a block that several share counting once. The match is exact: engines announce what they
/// cache.
class BlockCost : public BookedPolicy {
 public:
  BlockCost(const Fleet& fleet, double weight) : BookedPolicy(fleet), weight_(weight), in_use_(fleet.engines.size()) {}

 private:
  EngineIndex pick(const Arrival& arrival) override {
    return least([&](EngineIndex engine) {
      const double tokens = book_[engine].prefill_tokens + arrival.request->in;
      const double prefill = tokens / fleet_.block_tokens - static_cast<double>(depth(arrival, engine));
      const auto more = std::count_if(arrival.blocks.begin(), arrival.blocks.end(),
                                      [&](BlockId id) { return !in_use_[engine].holds(id); });
      // Each request has one block that is not full.
      const auto active = in_use_[engine].size() + book_[engine].active + static_cast<std::size_t>(more) + 1;
      return weight_ * std::max(0.0, prefill) + static_cast<double>(active);
    });
  }
  std::size_t depth(const Arrival& arrival, EngineIndex engine) override {
    return fleet_.engines[engine].cached_depth(arrival.blocks);
  }
  void sending(const Arrival& arrival, EngineIndex engine) override {
    for (const auto id : arrival.blocks) in_use_[engine].use(id);
  }
  void left(const Arrival& arrival, EngineIndex engine) override {
    for (const auto id : arrival.blocks) in_use_[engine].drop(id);
    while (in_use_[engine].evict()) {
    }
  }

  double weight_;
  std::vector<BlockCache> in_use_;  // by the prompts of active requests
};

/// LMetric: prefill tokens outstanding with its own, times requests in progress with itself.
class Product : public BookedPolicy {
 public:
  using BookedPolicy::BookedPolicy;

 private:
  EngineIndex pick(const Arrival& arrival) override {
    return least([&](EngineIndex engine) {
      const auto& lane = book_[engine];
      return (lane.prefill_tokens + uncached(arrival, engine)) * static_cast<double>(lane.active + 1);
    });
  }
};

}  // namespace

std::unique_ptr<Policy> make_cache_aware(const Fleet& fleet) { return std::make_unique<CacheAware>(fleet); }
std::unique_ptr<Policy> make_gateway(const Fleet& fleet) { return std::make_unique<Gateway>(fleet); }
std::unique_ptr<Policy> make_block_cost(const Fleet& fleet) { return std::make_unique<BlockCost>(fleet, 1.0); }
std::unique_ptr<Policy> make_double_block_cost(const Fleet& fleet) { return std::make_unique<BlockCost>(fleet, 2.0); }
std::unique_ptr<Policy> make_product(const Fleet& fleet) { return std::make_unique<Product>(fleet); }

}  // namespace svc::routing
