#include "bench/routing/router_table.hpp"

namespace svc::routing {
namespace {

std::optional<EngineIndex> engine_of(const router::PickResult& result) {
  if (result.upstream == nullptr) return std::nullopt;
  return result.upstream->live->slot;
}

}  // namespace

RouterTable::RouterTable(const Fleet& fleet, const router::BalancingSettings& settings) : settings_(settings) {
  std::vector<router::Upstream> upstreams;
  for (std::uint32_t i = 0; i < fleet.engines.size(); ++i) {
    router::Upstream upstream;
    upstream.spec.name = "engine" + std::to_string(i);
    upstream.live = lives_.emplace_back(std::make_shared<router::UpstreamLive>(i, 1));
    upstreams.push_back(std::move(upstream));
  }
  table_ = router::RoutingTable::build(std::move(upstreams), settings_, TimePoint{}, 1, true, nullptr);
}

std::optional<EngineIndex> RouterTable::pick(const router::PickContext& context) const {
  return engine_of(router::pick(group(), settings_, context));
}

std::optional<EngineIndex> RouterTable::preview(const router::PickContext& context) const {
  return engine_of(router::preview(group(), settings_, context));
}

}  // namespace svc::routing
