#include <algorithm>
#include <array>

#include "bench/routing/policies.hpp"

namespace svc::routing {
namespace {

constexpr std::array kKinds = {
    PolicyKind{"round_robin", "round robin", "the router's round_robin", false, make_round_robin},
    PolicyKind{"random", "random", "the router's random", false, make_random},
    PolicyKind{"least_connections", "least connections", "the router's least_connections", false,
               make_least_connections},
    PolicyKind{"session", "session hash, bound 1.25", "the router's session: consistent hashing with bounded load",
               false, make_session},
    PolicyKind{"cache_aware", "SGLang cache_aware", "longest match above one half, else least connections", false,
               make_cache_aware},
    PolicyKind{"gie", "GIE 3/2/2", "weighted scores of match, queue and KV usage, read every 0.1 s", false,
               make_gateway},
    PolicyKind{"dynamo", "Dynamo, w = 1", "prefill blocks beyond the match, and active blocks", false, make_block_cost},
    PolicyKind{"dynamo_w2", "Dynamo, w = 2", "the same, prefill counting twice", false, make_double_block_cost},
    PolicyKind{"lmetric", "LMetric", "prefill tokens times requests", false, make_product},
    PolicyKind{"prefix_aware", "**prefix_aware**", "the router's prefix_aware", false, make_prefix_aware},
    PolicyKind{"prefix_aware+hold", "**prefix_aware, hold**", "the same, holding requests back in the router", false,
               make_prefix_aware_hold},
    PolicyKind{"oracle", "greedy oracle", "exact caches, queues and answer lengths", true, make_oracle},
};

}  // namespace

std::span<const PolicyKind> policy_kinds() { return kKinds; }

const PolicyKind* find_policy(std::string_view name) {
  const auto found = std::find_if(kKinds.begin(), kKinds.end(), [&](const auto& kind) { return kind.name == name; });
  return found == kKinds.end() ? nullptr : &*found;
}

}  // namespace svc::routing
