// Counters, gauges and histograms of a daemon and their text for Prometheus (text exposition 0.0.4). A thin cover over
// prometheus-cpp, whose headers stay in metrics.cpp.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace prometheus {
class Counter;
class Gauge;
class Histogram;
}  // namespace prometheus

namespace svc {

using MetricLabels = std::map<std::string, std::string>;

// The three kinds are handles of one pointer: copy them freely. They are valid while their Metrics lives. Changing a
// value is one call and lock-free (the histogram takes a short lock); any thread may do it. A default-made handle
// belongs to no metric and ignores every change, so that parts can be tested without a Metrics.

/// Only ever grows.
class Counter {
 public:
  Counter() = default;
  void add(double n = 1.0) const;  ///< negative n is ignored
  [[nodiscard]] double value() const;

 private:
  friend class Metrics;
  explicit Counter(prometheus::Counter& metric) : metric_(&metric) {}
  prometheus::Counter* metric_ = nullptr;
};

class Gauge {
 public:
  Gauge() = default;
  void set(double value) const;
  void add(double n = 1.0) const;  ///< negative n takes away
  [[nodiscard]] double value() const;

 private:
  friend class Metrics;
  explicit Gauge(prometheus::Gauge& metric) : metric_(&metric) {}
  prometheus::Gauge* metric_ = nullptr;
};

class Histogram {
 public:
  Histogram() = default;
  void observe(double value) const;

 private:
  friend class Metrics;
  explicit Histogram(prometheus::Histogram& metric) : metric_(&metric) {}
  prometheus::Histogram* metric_ = nullptr;
};

/// All metrics of one process. Registering and text() belong to one thread; the handles to any.
class Metrics {
 public:
  /// Registers infinilm_build_info{version,commit} = 1, process_start_time_seconds (the moment of this call),
  /// process_resident_memory_bytes, process_cpu_seconds_total, process_open_fds, process_max_fds and
  /// infinilm_log_lines_lost_total.
  Metrics();
  ~Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  /// The same name and labels give the same metric again. Throws std::invalid_argument for a name or label that
  /// Prometheus does not allow and for one name used with two kinds: faults of the program, not of its input.
  Counter counter(const std::string& name, const std::string& help, const MetricLabels& labels = {});
  Gauge gauge(const std::string& name, const std::string& help, const MetricLabels& labels = {});
  /// `buckets`: upper bounds, ascending, without +Inf. All series of one name must use the same.
  Histogram histogram(const std::string& name, const std::string& help, const std::vector<double>& buckets,
                      const MetricLabels& labels = {});

  /// `refresh` runs at every text(), before the values are taken: the place to set gauges from a state. What it refers
  /// to must live as long as the Metrics or as its last text().
  void add_collector(std::function<void()> refresh);

  /// The whole exposition; Content-Type kMetricsContentType. Costs about a microsecond a series.
  [[nodiscard]] std::string text() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

inline constexpr std::string_view kMetricsContentType = "text/plain; version=0.0.4; charset=utf-8";

/// Bounds in seconds for a call over the network, 1 ms to 10 s.
const std::vector<double>& latency_buckets();

}  // namespace svc
