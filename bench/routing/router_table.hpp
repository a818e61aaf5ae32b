// A routing table of the router over the fleet's engines, and its pick().
#pragma once

#include <memory>

#include "bench/routing/policy.hpp"
#include "router/core/pick.hpp"

namespace svc::routing {

class RouterTable {
 public:
  RouterTable(const Fleet& fleet, const router::BalancingSettings& settings);

  [[nodiscard]] const router::Group& group() const { return *table_->find(""); }
  /// Counts a request in at the engine that it returns. nullopt: it is to wait.
  [[nodiscard]] std::optional<EngineIndex> pick(const router::PickContext& context) const;
  /// The same without counting.
  [[nodiscard]] std::optional<EngineIndex> preview(const router::PickContext& context) const;
  void ended(EngineIndex engine) const { --lives_[engine]->in_flight; }

 private:
  router::BalancingSettings settings_;
  std::vector<std::shared_ptr<router::UpstreamLive>> lives_;  // by engine
  std::shared_ptr<const router::RoutingTable> table_;
};

}  // namespace svc::routing
