#include "bench/load/histogram.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <nlohmann/json.hpp>

namespace svc::load {
namespace {

double microseconds(double nanoseconds) { return std::round(nanoseconds / 100) / 10; }

}  // namespace

void Histogram::add(Duration value) {
  const auto nanoseconds = static_cast<std::uint64_t>(std::max<Duration::rep>(value.count(), 0));
  // Below 2^kBits each value has its bucket; above, each power of two has 2^kBits of them.
  const auto width = static_cast<unsigned>(std::bit_width(nanoseconds));
  const unsigned shift = width > kBits + 1 ? width - kBits - 1 : 0;
  const std::size_t bucket = (std::size_t{shift} << kBits) + static_cast<std::size_t>(nanoseconds >> shift);
  ++counts_[bucket];
  ++count_;
  sum_ += nanoseconds;
  max_ = std::max(max_, nanoseconds);
}

Duration Histogram::percentile(double share) const {
  const auto rank = static_cast<std::uint64_t>(std::ceil(share * static_cast<double>(count_)));
  std::uint64_t seen = 0;
  for (std::size_t bucket = 0; bucket < counts_.size(); ++bucket) {
    seen += counts_[bucket];
    if (seen >= rank && seen > 0) {
      const std::size_t block = bucket >> kBits;
      const std::size_t shift = block > 1 ? block - 1 : 0;
      const std::uint64_t lowest = std::uint64_t{bucket - (shift << kBits)} << shift;
      const std::uint64_t middle = lowest + ((std::uint64_t{1} << shift) >> 1U);
      return Duration(static_cast<Duration::rep>(std::min(middle, max_)));
    }
  }
  return Duration::zero();
}

nlohmann::ordered_json Histogram::to_json() const {
  const auto at = [this](double share) { return microseconds(static_cast<double>(percentile(share).count())); };
  const double mean = count_ == 0 ? 0 : static_cast<double>(sum_) / static_cast<double>(count_);
  return {{"count", count_},
          {"mean_us", microseconds(mean)},
          {"p50_us", at(0.5)},
          {"p90_us", at(0.9)},
          {"p99_us", at(0.99)},
          {"p99.9_us", at(0.999)},
          {"max_us", microseconds(static_cast<double>(max_))}};
}

}  // namespace svc::load
