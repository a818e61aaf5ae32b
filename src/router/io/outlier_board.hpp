// Passive health of all upstreams (core/outlier.hpp), for all threads. Failures are rare and a success without failures
// before it does not come here at all, so one lock serves everybody.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>

#include "common/core/clock.hpp"
#include "router/core/outlier.hpp"
#include "router/core/upstream.hpp"

namespace svc::router {

/// Any thread. Knows an upstream from its first failure until its UpstreamLive is gone; an incarnation that comes later
/// starts anew, also in the same slot.
class OutlierBoard {
 public:
  using LivePtr = std::shared_ptr<UpstreamLive>;

  /// Counts a failure that blames the upstream (Outlier::failed) and sets had_failures. True: it is ejected by it;
  /// ejected_until_ns and ejections say so already.
  bool failed(const LivePtr& live, const UpstreamSpec& spec, FailureReason reason, TimePoint now,
              const OutlierSettings& settings, std::uint64_t random);
  /// An answer began. One relaxed load when nothing failed since the last one.
  void succeeded(const LivePtr& live) {
    if (live->had_failures.load(std::memory_order_relaxed)) forgive(live);
  }
  /// A good probe. True: the ejection ended by it, and ejected_until_ns says so already.
  bool probed_good(const LivePtr& live);
  /// It was down, or hung, and is well again: its failures are forgotten. True: an ejection ended by it.
  bool came_back(const LivePtr& live);

 private:
  void forgive(const LivePtr& live);

  std::mutex lock_;
  // By owner and not by address, which another UpstreamLive may get: who is gone is dropped when somebody comes in.
  std::map<std::weak_ptr<UpstreamLive>, Outlier, std::owner_less<>> outliers_;
};

}  // namespace svc::router
