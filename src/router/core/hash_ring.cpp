#include "router/core/hash_ring.hpp"

#include <algorithm>
#include <bit>
#include <numeric>
#include <utility>

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace svc::router {
namespace {

/// splitmix64 (Steele, Lea, Flood, 2014): the name's own sequence. (XXH3 of a short name with the number as its seed
/// will not do: the seed is combined with the last characters, so that "u1" and "u2" share most of their points.)
std::uint64_t point_hash(std::uint64_t name_hash, std::uint64_t number) {
  auto value = name_hash + (number + 1) * 0x9E3779B97F4A7C15ULL;
  value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9ULL;
  value = (value ^ (value >> 27)) * 0x94D049BB133111EBULL;
  return value ^ (value >> 31);
}

}  // namespace

HashRing::HashRing(std::span<const RingMember> members, std::size_t points) {
  double total = 0;
  for (const auto& member : members) total += static_cast<double>(member.weight);
  // By halves only: any other divisor would change with every member, and all keys with it.
  auto per_weight = static_cast<double>(points);
  while (total * per_weight > static_cast<double>(kMaxPoints)) per_weight /= 2;

  std::vector<Point> unsorted;
  for (std::uint32_t index = 0; index < members.size(); ++index) {
    const auto& member = members[index];
    if (member.weight == 0) continue;
    const auto scaled = static_cast<std::uint64_t>(static_cast<double>(member.weight) * per_weight);
    const auto count = std::max<std::uint64_t>(scaled, 1);
    const auto name_hash = hash_key(member.name);
    for (std::uint64_t number = 0; number < count; ++number) unsorted.push_back({point_hash(name_hash, number), index});
  }
  if (unsorted.empty()) return;

  // Hashes are spread evenly: buckets of about one point each sort them in linear time.
  auto data = std::make_shared<Data>();
  const auto bits = std::bit_width(unsorted.size());
  data->shift = 64 - static_cast<int>(bits);
  data->starts.resize(std::size_t{1} << bits);
  for (const auto& point : unsorted) ++data->starts[point.hash >> data->shift];
  std::exclusive_scan(data->starts.begin(), data->starts.end(), data->starts.begin(), std::uint32_t{0});
  auto next = data->starts;
  data->points.resize(unsorted.size());
  for (const auto& point : unsorted) data->points[next[point.hash >> data->shift]++] = point;
  const auto at = [&](std::size_t position) { return data->points.begin() + static_cast<std::ptrdiff_t>(position); };
  for (std::size_t bucket = 0; bucket < next.size(); ++bucket) {
    std::sort(at(data->starts[bucket]), at(next[bucket]), [&](const Point& a, const Point& b) {
      return a.hash != b.hash ? a.hash < b.hash : members[a.member].name < members[b.member].name;
    });
  }
  data_ = std::move(data);
}

std::size_t HashRing::find(std::uint64_t key_hash) const {
  if (data_ == nullptr) return 0;
  const auto& points = data_->points;
  std::size_t position = data_->starts[key_hash >> data_->shift];
  while (position < points.size() && points[position].hash < key_hash) ++position;
  return position == points.size() ? 0 : position;
}

std::uint64_t hash_key(std::string_view key) { return XXH3_64bits(key.data(), key.size()); }

}  // namespace svc::router
