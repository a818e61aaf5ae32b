// Smooth weighted round robin in nginx's order, prepared as a sequence: a pick is one atomic increment and one look-up,
// for any number of upstreams. Source of the order: nginx, ngx_http_upstream_round_robin (each turn every peer gains
// its weight, the largest is chosen and loses the total).
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

namespace svc::router {

class Rotation {
 public:
  Rotation() = default;
  /// The order in which indices 0..n-1 come up, for one period. Weights are divided by their greatest common divisor;
  /// when the period would exceed kMaxPeriod they are scaled down (each stays at least 1). Weight 0 never comes up.
  /// Cost: the number of different weights per element of the period (at most 361), not n per element.
  static std::vector<std::uint32_t> smooth_order(std::span<const std::uint64_t> weights);
  static constexpr std::size_t kMaxPeriod = 65'536;

  explicit Rotation(std::vector<std::uint32_t> order) : order_(std::move(order)) {}

  [[nodiscard]] bool empty() const { return order_.empty(); }
  [[nodiscard]] std::size_t size() const { return order_.size(); }
  /// The next turn. Any thread; the turns of all threads together follow the order.
  [[nodiscard]] std::uint64_t take() const { return turn_->fetch_add(1, std::memory_order_relaxed); }
  [[nodiscard]] std::uint32_t at(std::uint64_t turn) const { return order_[turn % order_.size()]; }
  [[nodiscard]] std::uint64_t peek() const { return turn_->load(std::memory_order_relaxed); }
  /// Goes on where `previous` was, so that a new table does not begin with the first upstream again.
  void follow(const Rotation& previous) { turn_ = previous.turn_; }

 private:
  std::vector<std::uint32_t> order_;
  std::shared_ptr<std::atomic<std::uint64_t>> turn_ = std::make_shared<std::atomic<std::uint64_t>>(0);
};

}  // namespace svc::router
