#include "router/core/pick_search.hpp"

#include <algorithm>
#include <bit>
#include <utility>

namespace svc::router {
namespace {

constexpr std::size_t kMostTurns = 64;  // of a rotation, or random draws; then any() finds what there is

/// splitmix64 (Steele, Lea, Flood, 2014): more numbers from the one that the caller gave.
std::uint64_t mixed(std::uint64_t value) {
  value += 0x9E3779B97F4A7C15ULL;
  value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9ULL;
  value = (value ^ (value >> 27)) * 0x94D049BB133111EBULL;
  return value ^ (value >> 31);
}

}  // namespace

const Upstream* PoolSearch::by_method(const Pool& pool, Method method) {
  switch (method) {
    case Method::round_robin:
    case Method::weighted: return in_turn(pool);
    case Method::random: return at_random(pool);
    case Method::prefix_aware:
      if (context_.prefix != nullptr) return soonest(pool);
      [[fallthrough]];
    case Method::least_connections:
    case Method::ip_hash:  // these two among backups, or without a key
    case Method::session: return pool.members.size() <= kScanAll ? least_loaded(pool) : better_of_two(pool);
  }
  return nullptr;
}

bool PoolSearch::admitted(const Upstream& upstream, bool ejected_too) const {
  return upstream.spec.weight > 0 &&
         (ejected_too ? upstream.live->usable_in_panic() : upstream.live->usable(context_.now));
}

bool PoolSearch::able(const Pool& pool, const Upstream& upstream) const {
  return admitted(upstream, pool.ejected_too) &&
         std::find(context_.tried.begin(), context_.tried.end(), upstream.live.get()) == context_.tried.end() &&
         (pool.cache_type.empty() || upstream.spec.cache_type == pool.cache_type);
}

bool PoolSearch::claim(const Upstream& upstream) {
  auto& counter = upstream.live->in_flight;
  const auto most = upstream.spec.max_concurrency;
  auto count = counter.load(std::memory_order_relaxed);
  if (most == 0) {
    if (counting_) counter.fetch_add(1, std::memory_order_relaxed);
    return true;
  }
  while (count < most) {
    if (!counting_ || counter.compare_exchange_weak(count, count + 1, std::memory_order_relaxed)) return true;
  }
  saw_full_ = true;
  return false;
}

/// A preview looks ahead instead of taking turns.
std::uint64_t PoolSearch::turn_of(const Rotation& rotation, std::uint64_t ahead) const {
  return counting_ ? rotation.take() : rotation.peek() + ahead;
}

/// Each upstream that is passed over uses up its turn, so that its successor does not get the work of two.
const Upstream* PoolSearch::in_turn(const Pool& pool) {
  const auto most = std::min(kMostTurns, pool.rotation.size());
  for (std::uint64_t step = 0; step < most; ++step) {
    const auto& upstream = *pool.members[pool.rotation.at(turn_of(pool.rotation, step))];
    if (take(pool, upstream)) return &upstream;
  }
  return any(pool);
}

const Upstream* PoolSearch::at_random(const Pool& pool) {
  const auto most = std::min(kMostTurns, pool.rotation.size());
  for (std::uint64_t step = 0; step < most; ++step) {
    const auto& upstream = *pool.members[pool.rotation.at(next_random())];
    if (take(pool, upstream)) return &upstream;
  }
  return any(pool);
}

double PoolSearch::load(const Upstream& upstream) const {
  auto weight = static_cast<double>(upstream.spec.weight);
  if (upstream.live->ramp_began_ns.load(std::memory_order_relaxed) != 0) {
    weight *= ramp_share(*upstream.live, settings_.slow_start, context_.now);
  }
  return in_flight(upstream) / weight;
}

const Upstream* PoolSearch::least_loaded(const Pool& pool) {
  for (int attempt = 0; attempt < 4; ++attempt) {
    double least = 0;
    std::uint64_t equals = 0;  // a bit for each
    for (std::size_t index = 0; index < pool.members.size(); ++index) {
      const auto& upstream = *pool.members[index];
      if (!able(pool, upstream) || full(upstream)) continue;
      const auto its = load(upstream);
      const auto bit = std::uint64_t{1} << index;
      if (equals == 0 || its < least) {
        least = its;
        equals = bit;
      } else if (its == least) {
        equals |= bit;
      }
    }
    if (equals == 0) return nullptr;
    const auto& chosen = *pool.members[one_of(pool, equals)];
    if (claim(chosen)) return &chosen;  // else another thread was faster
  }
  return any(pool);
}

/// As nginx does: among equals by the weighted rotation.
std::size_t PoolSearch::one_of(const Pool& pool, std::uint64_t equals) {
  if (std::has_single_bit(equals)) return static_cast<std::size_t>(std::countr_zero(equals));
  const auto most = pool.rotation.empty() ? 0 : kMostTurns;
  for (std::uint64_t step = 0; step < most; ++step) {
    const auto index = pool.rotation.at(turn_of(pool.rotation, step));
    if ((equals >> index & 1) != 0) return index;
  }
  // Their turns are rare, beside heavy ones that are busy.
  for (auto skipped = next_random() % static_cast<unsigned>(std::popcount(equals)); skipped > 0; --skipped) {
    equals &= equals - 1;
  }
  return static_cast<std::size_t>(std::countr_zero(equals));
}

/// Where the request is answered soonest. With `hold` the best one is waited for when it is full or has enough to do.
const Upstream* PoolSearch::soonest(const Pool& pool) {
  for (int attempt = 0; attempt < 4; ++attempt) {
    const Upstream* best = nullptr;
    const Appraisal* its = nullptr;
    std::uint64_t equals = 0;
    for (const auto* upstream : pool.members) {
      if (!able(pool, *upstream) || (!context_.hold && full(*upstream))) continue;
      const auto* appraisal = context_.prefix->of(upstream->live->slot);
      if (appraisal == nullptr || (its != nullptr && appraisal->score > its->score)) continue;
      equals = its != nullptr && appraisal->score == its->score ? equals + 1 : 1;
      if (equals > 1 && next_random() % equals != 0) continue;
      best = upstream;
      its = appraisal;
    }
    if (best == nullptr) return any(pool);
    if (context_.hold && !its->open) {
      saw_full_ = true;
      return nullptr;
    }
    if (claim(*best)) return best;  // else another thread was faster, or it is full and waited for
    if (context_.hold) return nullptr;
  }
  return any(pool);
}

/// Mitzenmacher (2001): the less loaded of two chosen at random.
const Upstream* PoolSearch::better_of_two(const Pool& pool) {
  const Upstream* first = nullptr;
  const auto most = pool.rotation.empty() ? 0 : kMostTurns;
  for (std::size_t step = 0; step < most; ++step) {
    const auto* upstream = pool.members[pool.rotation.at(next_random())];
    if (upstream == first || !able(pool, *upstream) || full(*upstream)) continue;
    if (first == nullptr) {
      first = upstream;
      continue;
    }
    const auto* second = upstream;
    if (load(*second) < load(*first)) std::swap(first, second);
    if (claim(*first)) return first;
    if (claim(*second)) return second;
    break;
  }
  return first != nullptr && claim(*first) ? first : any(pool);
}

const Upstream* PoolSearch::any(const Pool& pool) {
  const auto count = pool.members.size();
  const auto start = next_random() % count;
  for (std::size_t step = 0; step < count; ++step) {
    const auto& upstream = *pool.members[(start + step) % count];
    if (take(pool, upstream)) return &upstream;
  }
  return nullptr;
}

bool PoolSearch::full(const Upstream& upstream) {
  const bool is = upstream.spec.max_concurrency != 0 && in_flight(upstream) >= upstream.spec.max_concurrency;
  saw_full_ = saw_full_ || is;
  return is;
}

std::uint64_t PoolSearch::next_random() { return random_ = mixed(random_); }

}  // namespace svc::router
