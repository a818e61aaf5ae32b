#include "router/core/rotation.hpp"

#include <algorithm>
#include <map>
#include <numeric>

namespace svc::router {
namespace {

// Peers of one weight come up in turn, in the order of their indices: their values differ only by how often each was
// chosen. So only one of each class competes, and a period has few classes: their sum is at most kMaxPeriod, hence
// there are at most 361 different weights.
struct WeightClass {
  std::int64_t weight = 0;
  std::int64_t value = 0;  // nginx's current_weight of the member whose turn it is
  std::vector<std::uint32_t> members;
  std::size_t next = 0;
};

std::vector<std::uint64_t> reduced(std::vector<std::uint64_t> weights) {
  std::uint64_t divisor = 0;
  for (const auto weight : weights) divisor = std::gcd(divisor, weight);
  if (divisor > 1) {
    for (auto& weight : weights) weight /= divisor;
  }
  return weights;
}

/// Small enough that their sum is the length of a period that may be kept.
std::vector<std::uint64_t> bounded(std::span<const std::uint64_t> given) {
  auto weights = reduced({given.begin(), given.end()});
  constexpr auto kMost = static_cast<long double>(Rotation::kMaxPeriod);
  long double total = 0;  // the sum of any weights, without overflow
  long double count = 0;
  for (const auto weight : weights) {
    total += static_cast<long double>(weight);
    count += weight > 0 ? 1 : 0;
  }
  if (total <= kMost) return weights;
  const auto scale = std::max(kMost - count, 0.0L) / total;  // rounding adds at most 1 for each
  for (auto& weight : weights) {
    if (weight == 0) continue;
    const auto scaled = static_cast<std::uint64_t>(static_cast<long double>(weight) * scale + 0.5L);
    weight = std::max<std::uint64_t>(scaled, 1);
  }
  return reduced(std::move(weights));
}

std::vector<WeightClass> classes_of(const std::vector<std::uint64_t>& weights) {
  std::map<std::uint64_t, WeightClass> by_weight;
  for (std::uint32_t index = 0; index < weights.size(); ++index) {
    if (weights[index] == 0) continue;
    auto& one = by_weight[weights[index]];
    one.weight = static_cast<std::int64_t>(weights[index]);
    one.members.push_back(index);
  }
  std::vector<WeightClass> classes;
  classes.reserve(by_weight.size());
  for (auto& [weight, one] : by_weight) classes.push_back(std::move(one));
  return classes;
}

}  // namespace

std::vector<std::uint32_t> Rotation::smooth_order(std::span<const std::uint64_t> weights) {
  const auto small = bounded(weights);
  auto classes = classes_of(small);
  const auto total = std::accumulate(small.begin(), small.end(), std::uint64_t{0});
  std::vector<std::uint32_t> order;
  order.reserve(total);
  for (std::uint64_t turn = 0; turn < total; ++turn) {
    WeightClass* best = nullptr;
    for (auto& one : classes) {
      one.value += one.weight;
      if (best == nullptr || one.value > best->value ||
          (one.value == best->value && one.members[one.next] < best->members[best->next])) {
        best = &one;
      }
    }
    order.push_back(best->members[best->next]);
    if (++best->next == best->members.size()) {  // all of them were chosen once more
      best->next = 0;
      best->value -= static_cast<std::int64_t>(total);
    }
  }
  return order;
}

}  // namespace svc::router
