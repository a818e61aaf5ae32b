// What the rules of other routers keep of each engine: requests in progress, prompts without a first token, and an index
// of blocks as large as an engine's cache.
#pragma once

#include <unordered_map>

#include "bench/routing/policy.hpp"

namespace svc::routing {

class LaneBook {
 public:
  struct Lane {
    std::uint64_t active = 0;   ///< requests sent and not ended
    double prefill_tokens = 0;  ///< of requests without a first token: what their cache did not save
    BlockCache index;           ///< blocks of what was sent there
  };

  explicit LaneBook(const Fleet& fleet) : lanes_(fleet.engines.size()), index_blocks_(fleet.kv_blocks()) {}

  [[nodiscard]] std::size_t size() const { return lanes_.size(); }
  [[nodiscard]] const Lane& operator[](EngineIndex engine) const { return lanes_[engine]; }

  /// `uncached`: as expected.
  void sent(const Arrival& arrival, EngineIndex engine, double uncached) {
    auto& lane = lanes_[engine];
    ++lane.active;
    lane.prefill_tokens += uncached;
    open_[arrival.row] = uncached;
    lane.index.touch(arrival.blocks, ++tick_, index_blocks_);
  }
  void first_token(const Arrival& arrival, EngineIndex engine) {
    const auto found = open_.find(arrival.row);
    lanes_[engine].prefill_tokens -= found->second;
    open_.erase(found);
  }
  void ended(EngineIndex engine) { --lanes_[engine].active; }

 private:
  std::vector<Lane> lanes_;
  std::size_t index_blocks_;
  std::uint64_t tick_ = 0;
  std::unordered_map<std::uint32_t, double> open_;
};

/// A rule that keeps such a book and prefers the least of some value.
class BookedPolicy : public Policy {
 public:
  explicit BookedPolicy(const Fleet& fleet) : fleet_(fleet), book_(fleet), random_(fleet.seed) {}

  std::optional<EngineIndex> choose(const Arrival& arrival, double /*now*/) final {
    const auto engine = pick(arrival);
    sending(arrival, engine);
    book_.sent(arrival, engine, uncached(arrival, engine));
    return engine;
  }
  void first_token(const Arrival& arrival, EngineIndex engine, double /*now*/) final {
    book_.first_token(arrival, engine);
  }
  void ended(const Arrival& arrival, EngineIndex engine, double /*now*/) final {
    book_.ended(engine);
    left(arrival, engine);
  }

 protected:
  virtual EngineIndex pick(const Arrival& arrival) = 0;
  /// Blocks that the engine is believed to have.
  virtual std::size_t depth(const Arrival& arrival, EngineIndex engine) {
    return book_[engine].index.depth(arrival.blocks);
  }
  virtual void sending(const Arrival& /*arrival*/, EngineIndex /*engine*/) {}
  virtual void left(const Arrival& /*arrival*/, EngineIndex /*engine*/) {}

  double uncached(const Arrival& arrival, EngineIndex engine) {
    const double cached = static_cast<double>(depth(arrival, engine)) * fleet_.block_tokens;
    return std::max(1.0, arrival.request->in - cached);
  }
  template <class Value>
  EngineIndex least(Value value) {
    Least least(random_);
    for (EngineIndex engine = 0; engine < book_.size(); ++engine) least.offer(value(engine), engine);
    return least.engine();
  }

  const Fleet fleet_;
  LaneBook book_;
  std::mt19937_64 random_;
};

}  // namespace svc::routing
