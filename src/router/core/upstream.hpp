// The router's view of an instance: what it is (UpstreamSpec, from the registry or the configuration) and how it fares
// (UpstreamLive: counters and verdicts that all threads share).
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "common/core/clock.hpp"
#include "common/core/endpoint.hpp"
#include "common/core/ip_address.hpp"
#include "router/core/traffic_stats.hpp"

namespace svc::router {

/// Values only; made by the control thread, immutable once in a table.
struct UpstreamSpec {
  std::string name;  ///< unique among all upstreams
  Endpoint endpoint;
  bool tls = false;
  std::string url;  ///< as shown in /services: "http://10.0.0.1:5001"
  std::int64_t weight = 1;
  std::int64_t max_fails = 3;  ///< failures within fail_timeout that eject; 0 = never
  Duration fail_timeout{std::chrono::seconds(30)};
  bool backup = false;
  bool from_config = false;           ///< a static service: never dropped by discovery
  bool pinned = false;                ///< metadata.static: kept when the registry no longer lists it
  std::vector<std::string> models;    ///< what it serves; empty = not known: takes any model
  bool models_stated = false;         ///< by its record; false: learned from the instance, or unknown
  std::string cache_type;             ///< metadata.cache_type: "paged", "static" or ""
  std::uint32_t max_concurrency = 0;  ///< 0 = no limit
  std::uint64_t kv_cache_tokens = 0;  ///< of its prefix cache, as it states; 0 = not known
  double prefill_rate = 0;            ///< tokens a second, as it states; 0 = not known
  std::string incarnation;            ///< changes when the instance was restarted
  std::string metadata_json = "{}";   ///< compact object, for /services
  bool serving = true;                ///< the registry says that it may get new work (running, not draining)
  bool lease_lapsed = false;          ///< `serving` is false only because the registry has not heard from it in time
  bool agent_on_next_port = false;    ///< record of an original agent: GET http://host:port+1/health tells of it too

  bool operator==(const UpstreamSpec&) const = default;
};

/// What the active probes say. `unknown` takes work: an instance that was just found is given a chance.
enum class ProbeVerdict : std::uint8_t { unknown, up, down, hung };

/// Lives as long as one incarnation of an instance is known; tables come and go around it. All members may be used by
/// any thread. Counters are relaxed; each group of them has a cache line of its own, because every request of every
/// thread writes here.
struct UpstreamLive {
  UpstreamLive(std::uint32_t slot_index, std::size_t threads)
      : slot(slot_index), series(std::make_unique<SeriesList[]>(threads)), series_threads(threads) {}

  const std::uint32_t slot;                    ///< dense index, unique among living incarnations: for per-thread arrays
  const std::unique_ptr<SeriesList[]> series;  ///< one per data thread, written by that thread
  const std::size_t series_threads;

  alignas(64) std::atomic<std::uint32_t> in_flight{0};
  std::atomic<std::int64_t> last_heard_ns{0};  ///< steady clock: when bytes came from it last (coarse)
  std::atomic<std::uint32_t> paused{0};        ///< streams that are not read, since their clients do not read

  alignas(64) std::atomic<ProbeVerdict> verdict{ProbeVerdict::unknown};
  std::atomic<bool> serving{true};                ///< copy of the spec's, so that a drain counts at once
  std::atomic<std::int64_t> ejected_until_ns{0};  ///< steady clock; 0 = not ejected
  std::atomic<std::int64_t> ramp_began_ns{0};     ///< slow start; 0 = at full weight
  std::atomic<bool> gone{false};                  ///< no longer known: pools of it are closed

  std::atomic<bool> had_failures{false};  ///< since an answer began last: spares successful requests a look at Outlier
  std::atomic<std::uint64_t> ejections{0};

  /// Its silence says nothing: it may be this router that does not listen.
  [[nodiscard]] bool held_up() const { return paused.load(std::memory_order_relaxed) > 0; }
  /// May it get new work? (Capacity is asked elsewhere.)
  [[nodiscard]] bool usable(TimePoint now) const {
    const auto v = verdict.load(std::memory_order_relaxed);
    return v != ProbeVerdict::down && v != ProbeVerdict::hung && serving.load(std::memory_order_relaxed) &&
           ejected_until_ns.load(std::memory_order_relaxed) <= now.time_since_epoch().count();
  }
  /// Ejected by its failures, but nothing says that it is down: the panic threshold may use it.
  [[nodiscard]] bool usable_in_panic() const {
    const auto v = verdict.load(std::memory_order_relaxed);
    return v != ProbeVerdict::down && v != ProbeVerdict::hung && serving.load(std::memory_order_relaxed);
  }
};

/// One entry of a table.
struct Upstream {
  UpstreamSpec spec;
  std::shared_ptr<UpstreamLive> live;
  std::vector<IpAddress> addresses;  ///< of spec.endpoint.host, each allowed by the address policy; try them in order
};

}  // namespace svc::router
