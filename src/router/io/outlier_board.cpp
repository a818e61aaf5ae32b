#include "router/io/outlier_board.hpp"

namespace svc::router {

bool OutlierBoard::failed(const LivePtr& live, const UpstreamSpec& spec, FailureReason reason, TimePoint now,
                          const OutlierSettings& settings, std::uint64_t random) {
  const std::lock_guard guard(lock_);
  auto entry = outliers_.find(live);
  if (entry == outliers_.end()) {
    std::erase_if(outliers_, [](const auto& item) { return item.first.expired(); });
    entry = outliers_.try_emplace(live).first;
  }
  live->had_failures.store(true, std::memory_order_relaxed);
  const TimePoint until = entry->second.failed(reason, now, spec.max_fails, spec.fail_timeout, settings, random);
  if (until <= now) return false;
  live->ejected_until_ns.store(until.time_since_epoch().count(), std::memory_order_relaxed);
  live->ejections.fetch_add(1, std::memory_order_relaxed);
  return true;
}

void OutlierBoard::forgive(const LivePtr& live) {
  const std::lock_guard guard(lock_);
  const auto entry = outliers_.find(live);
  if (entry != outliers_.end()) entry->second.succeeded();
  live->had_failures.store(false, std::memory_order_relaxed);
}

bool OutlierBoard::came_back(const LivePtr& live) {
  const std::lock_guard guard(lock_);
  outliers_.erase(std::weak_ptr<UpstreamLive>(live));
  live->had_failures.store(false, std::memory_order_relaxed);
  return live->ejected_until_ns.exchange(0, std::memory_order_relaxed) != 0;
}

bool OutlierBoard::probed_good(const LivePtr& live) {
  if (!live->had_failures.load(std::memory_order_relaxed) &&
      live->ejected_until_ns.load(std::memory_order_relaxed) == 0) {
    return false;
  }
  const std::lock_guard guard(lock_);
  const auto entry = outliers_.find(live);
  if (entry == outliers_.end() || !entry->second.probed_good()) return false;
  live->ejected_until_ns.store(0, std::memory_order_relaxed);
  return true;
}

}  // namespace svc::router
