// The numbers of traffic_stats.hpp added up over threads, as plain values: for /stats, /metrics and the tests.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <span>
#include <string>

#include "router/core/traffic_stats.hpp"

namespace svc::router {

struct UpstreamLive;

struct TimeSum {
  std::array<std::uint64_t, TimeTally::kBounds + 1> buckets{};
  std::uint64_t count = 0;
  double seconds = 0;

  void add(const TimeTally& tally);
  void add(const TimeSum& other);
  /// Seconds; linear within a bucket, 0 without observations. Beyond the last bound: that bound.
  [[nodiscard]] double quantile(double q) const;
  [[nodiscard]] double mean() const { return count == 0 ? 0 : seconds / static_cast<double>(count); }
};

struct SeriesSum {
  std::uint64_t requests = 0, retries = 0;
  std::uint64_t prompt_tokens = 0, cached_tokens = 0, completion_tokens = 0, bytes_to_client = 0;
  std::array<std::uint64_t, 6> answers{};
  std::array<std::uint64_t, kFailureReasons> failures{};
  TimeSum first_byte, between_chunks, whole, queue_time;

  void add(const Series& series);
  void add(const SeriesSum& other);
};

struct ThreadSum {
  std::uint64_t requests = 0, own_requests = 0, connections_accepted = 0, connections_refused = 0;
  std::int64_t connections_open = 0, requests_active = 0, buffered_bytes = 0;
  std::uint64_t upstream_connects = 0, upstream_reuses = 0, retries = 0, retries_denied = 0;
  std::uint64_t panic_picks = 0, backup_picks = 0, client_gone = 0, attempts = 0;
  std::array<std::uint64_t, kFailureReasons> refusals{};
  TimeSum queue_time, hold_time, pick_to_first_byte;
};

/// By model; over all threads.
[[nodiscard]] std::map<std::string, SeriesSum, std::less<>> sum_series(const UpstreamLive& live);
[[nodiscard]] SeriesSum sum_models(const std::map<std::string, SeriesSum, std::less<>>& by_model);
[[nodiscard]] ThreadSum sum_threads(std::span<const ThreadStats* const> threads);

}  // namespace svc::router
