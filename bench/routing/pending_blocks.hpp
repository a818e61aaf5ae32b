// Blocks that will be computed, counted by the prompts that are to do it.
#pragma once

#include <cstdint>
#include <unordered_map>

#include "bench/routing/block_cache.hpp"

namespace svc::routing {

class PendingBlocks {
 public:
  void add(Blocks blocks) {
    for (const auto id : blocks) ++counts_[id];
  }
  void remove(BlockId id) {
    const auto found = counts_.find(id);
    if (found != counts_.end() && --found->second == 0) counts_.erase(found);
  }
  [[nodiscard]] bool holds(BlockId id) const { return counts_.contains(id); }

 private:
  std::unordered_map<BlockId, std::uint32_t> counts_;
};

}  // namespace svc::routing
