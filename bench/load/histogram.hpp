// Counts of times in buckets that are 1/128 wide (log-linear, as HdrHistogram): percentiles of millions of samples in
// constant memory, at most 0.8 % off.
#pragma once

#include <cstddef>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <vector>

#include "common/core/clock.hpp"

namespace svc::load {

class Histogram {
 public:
  Histogram() : counts_(kBuckets) {}

  /// Negative times (clocks of two cores) count as zero.
  void add(Duration value);
  [[nodiscard]] std::uint64_t count() const { return count_; }
  /// By nearest rank; `share` from 0 to 1. Zero when empty.
  [[nodiscard]] Duration percentile(double share) const;
  [[nodiscard]] Duration max() const { return Duration(static_cast<Duration::rep>(max_)); }
  /// {"count":n,"mean_us":x,"p50_us":x,"p90_us":x,"p99_us":x,"p99.9_us":x,"max_us":x}
  [[nodiscard]] nlohmann::ordered_json to_json() const;

 private:
  static constexpr unsigned kBits = 7;
  static constexpr std::size_t kBuckets = (64 - kBits + 1) << kBits;

  std::vector<std::uint64_t> counts_;
  std::uint64_t count_ = 0;
  std::uint64_t sum_ = 0;
  std::uint64_t max_ = 0;
};

}  // namespace svc::load
