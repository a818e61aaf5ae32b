// Consistent hashing (Karger et al., 1997) with bounded loads (Mirrokni, Thorup, Zadimoghaddam, 2016): a key goes to
// the first upstream clockwise that is acceptable. An upstream that comes or goes moves only its own share of the keys.
// Immutable.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace svc::router {

struct RingMember {
  std::string_view name;  ///< identity: the same name has the same points in every ring
  std::uint64_t weight = 1;
};

/// Copies share the points.
class HashRing {
 public:
  /// Larger rings get half the points, or a quarter, ...: about 6 MiB.
  static constexpr std::size_t kMaxPoints = 262'144;

  HashRing() = default;
  /// `points` for each unit of weight, at least 1. Weight 0 gets none. The number depends on nothing else (up to
  /// kMaxPoints), so that a heavy member that leaves does not move the keys of the others.
  explicit HashRing(std::span<const RingMember> members, std::size_t points = 160);

  [[nodiscard]] bool empty() const { return data_ == nullptr; }
  /// Position of the owner of `key_hash`; those after it are its successors clockwise, which repeat members.
  [[nodiscard]] std::size_t find(std::uint64_t key_hash) const;
  /// Index into `members`.
  [[nodiscard]] std::uint32_t member_at(std::size_t position) const {
    return data_->points[position % data_->points.size()].member;
  }
  [[nodiscard]] std::size_t size() const { return data_ == nullptr ? 0 : data_->points.size(); }

 private:
  struct Point {
    std::uint64_t hash;
    std::uint32_t member;
  };
  struct Data {
    std::vector<Point> points;          // ascending
    std::vector<std::uint32_t> starts;  // by the top bits of a hash: the first point that is not below them
    int shift = 63;                     // what leaves these bits
  };
  std::shared_ptr<const Data> data_;
};

/// Stable across processes and machines (XXH3, seed 0).
[[nodiscard]] std::uint64_t hash_key(std::string_view key);

}  // namespace svc::router
