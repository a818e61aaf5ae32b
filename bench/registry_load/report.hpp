// What a run has to say: percentiles of times, and what it cost the registry's process.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "common/core/clock.hpp"
#include "common/core/result.hpp"

namespace svc::bench {

/// Times of one kind; percentiles by nearest rank.
class Samples {
 public:
  void add(Duration value) { values_.push_back(value); }
  std::size_t size() const { return values_.size(); }
  /// {"count":n,"p50_ms":x,"p99_ms":x,"max_ms":x}; sorts.
  nlohmann::ordered_json to_json();

 private:
  std::vector<Duration> values_;
};

/// CPU time (user and kernel, all threads) and memory of a process.
struct Usage {
  Duration cpu{};
  std::int64_t rss_kib = 0, peak_rss_kib = 0;
};

/// `pid` 0: nothing is measured, all zero. Errors: not_found.
Result<Usage> usage_of(int pid);

/// Adds "cpu_ms", "cpu_us_per_call", "rss_mb", "peak_rss_mb" (megabytes of 10^6 bytes) to `report`.
void add_usage(nlohmann::ordered_json& report, const Usage& before, const Usage& after, std::size_t calls);

double milliseconds(Duration value);
double seconds(Duration value);

}  // namespace svc::bench
