// One load-balancing decision. Pure but for the shared counters that it reads and the turn of the rotation.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "router/core/prefix/prefix_scores.hpp"
#include "router/core/routing_table.hpp"

namespace svc::router {

struct PickContext {
  TimePoint now;
  std::uint64_t random = 0;                    ///< fresh bits
  std::uint64_t session_hash = 0;              ///< of prompt_cache_key, user or the session header; 0 = none
  std::uint64_t client_hash = 0;               ///< of the client's address
  std::uint64_t text_bytes = 0;                ///< of message text, for the choice by size
  std::span<const UpstreamLive* const> tried;  ///< of this request: never picked again
  const PrefixScores* prefix = nullptr;        ///< for prefix_aware; without, it is least_connections
  bool hold = false;                           ///< prefix_aware: rather wait for the best one than go to the second
};

enum class PickProblem : std::uint8_t {
  none,
  none_usable,  ///< all are down, ejected, draining or tried
  all_busy,     ///< usable ones are at their max_concurrency, or the best one has enough to do (hold): wait
};

/// Why this one; for /explain and the debug log.
enum class PickStep : std::uint8_t {
  policy,
  affinity,
  affinity_overflow,
  prefix,  ///< it has the beginning of the prompt in its cache
  size_preference,
  panic,
  backup,
};
[[nodiscard]] std::string_view to_string(PickStep step);

struct PickResult {
  const Upstream* upstream = nullptr;
  PickProblem problem = PickProblem::none;
  PickStep step = PickStep::policy;
};

/// Chooses among the group's upstreams and counts the request in (in_flight + 1, by compare-and-swap where there is a
/// max_concurrency): the caller must pair it with `live->in_flight - 1`. Order of preference: usable primaries by the
/// group's method (the cache_type filter narrows round_robin, weighted, least_connections and random when it leaves any
/// with room; it never overrides session or ip_hash affinity), in panic ejected primaries as if they were not; then
/// usable backups; then ejected primaries, then ejected backups (neither with a panic_threshold of 0). Who is able but
/// full ends the search: all_busy. Under a microsecond with 1,000 upstreams.
[[nodiscard]] PickResult pick(const Group& group, const BalancingSettings& settings, const PickContext& context);

/// The same without counting and without taking a turn.
[[nodiscard]] PickResult preview(const Group& group, const BalancingSettings& settings, const PickContext& context);

}  // namespace svc::router
