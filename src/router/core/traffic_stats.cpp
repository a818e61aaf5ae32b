#include "router/core/traffic_stats.hpp"

#include <algorithm>
#include <bit>

namespace svc::router {

void TimeTally::observe(Duration time) {
  constexpr std::uint64_t kMillisecond = 1'000'000;
  const auto ns = static_cast<std::uint64_t>(std::max<std::int64_t>(time.count(), 0));
  // Bounds double, so the bucket is the number of binary digits of the time in whole milliseconds, just below it.
  const auto digits = static_cast<std::size_t>(std::bit_width((std::max<std::uint64_t>(ns, 1) - 1) / kMillisecond));
  buckets_[std::min(digits, kBounds)].add();
  sum_ns_.add(ns);
}

std::uint64_t TimeTally::count() const {
  std::uint64_t count = 0;
  for (const Tally& bucket : buckets_) count += bucket.value();
  return count;
}

SeriesList::~SeriesList() {
  const Series* series = first_.load(std::memory_order_relaxed);
  while (series != nullptr) {
    const Series* const next = series->next.load(std::memory_order_relaxed);
    delete series;
    series = next;
  }
}

Series& SeriesList::of(std::string_view model) {
  constexpr std::string_view kOther = "other";
  const auto find = [this](std::string_view name) {
    Series* series = first_.load(std::memory_order_relaxed);
    while (series != nullptr && series->model != name) series = series->next.load(std::memory_order_relaxed);
    return series;
  };
  if (Series* const known = find(model)) return *known;
  if (count_ >= kMost) {
    if (Series* const other = find(kOther)) return *other;
    model = kOther;
  }
  auto* const fresh = new Series(std::string(model));
  // Readers follow the pointer from any thread: what it points to must be complete before it can be seen.
  if (last_ == nullptr) {
    first_.store(fresh, std::memory_order_release);
  } else {
    last_->next.store(fresh, std::memory_order_release);
  }
  last_ = fresh;
  ++count_;
  return *fresh;
}

}  // namespace svc::router
