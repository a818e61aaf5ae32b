// Part of pick(): who may be chosen of a list of upstreams, and the policies that need no key.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "router/core/pick.hpp"

namespace svc::router {

inline constexpr std::size_t kScanAll = 64;  ///< up to so many upstreams are all looked at, for exactness

/// Among whom one step of the preference looks.
struct Pool {
  const std::vector<const Upstream*>& members;
  const Rotation& rotation;  ///< of indices into `members`
  bool ejected_too = false;
  std::string_view cache_type{};  ///< only these; "" = all
};

/// One search, for one request. Not counting: a preview, which changes nothing.
class PoolSearch {
 public:
  PoolSearch(const BalancingSettings& settings, const PickContext& context, bool counting)
      : settings_(settings), context_(context), counting_(counting), random_(context.random) {}

  /// By a method that needs no key; the hash policies without one are least_connections. nullptr: none is able.
  [[nodiscard]] const Upstream* by_method(const Pool& pool, Method method);
  /// Anybody, from a random start: what a walk or draws did not find, because the rotation does not know it (it is
  /// usable again since the table was made), or because only the last few have room.
  [[nodiscard]] const Upstream* any(const Pool& pool);

  /// Takes new work as far as its health and weight go.
  [[nodiscard]] bool admitted(const Upstream& upstream, bool ejected_too) const;
  /// Admitted, in the pool, and new to this request.
  [[nodiscard]] bool able(const Pool& pool, const Upstream& upstream) const;
  /// At its max_concurrency. Remembered.
  [[nodiscard]] bool full(const Upstream& upstream);
  /// Counts the request in, unless the upstream is full.
  [[nodiscard]] bool claim(const Upstream& upstream);
  /// One that was able was full, or is to be waited for.
  [[nodiscard]] bool saw_full() const { return saw_full_; }

 private:
  [[nodiscard]] bool take(const Pool& pool, const Upstream& upstream) {
    return able(pool, upstream) && claim(upstream);
  }
  [[nodiscard]] const Upstream* in_turn(const Pool& pool);
  [[nodiscard]] const Upstream* at_random(const Pool& pool);
  [[nodiscard]] const Upstream* least_loaded(const Pool& pool);
  [[nodiscard]] const Upstream* soonest(const Pool& pool);
  [[nodiscard]] const Upstream* better_of_two(const Pool& pool);
  [[nodiscard]] std::size_t one_of(const Pool& pool, std::uint64_t equals);
  [[nodiscard]] std::uint64_t turn_of(const Rotation& rotation, std::uint64_t ahead) const;
  [[nodiscard]] double load(const Upstream& upstream) const;
  std::uint64_t next_random();

  const BalancingSettings& settings_;
  const PickContext& context_;
  const bool counting_;
  std::uint64_t random_;
  bool saw_full_ = false;
};

[[nodiscard]] inline std::uint32_t in_flight(const Upstream& upstream) {
  return upstream.live->in_flight.load(std::memory_order_relaxed);
}

}  // namespace svc::router
