#include "common/io/metrics.hpp"

#include <dirent.h>
#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>
#include <sys/resource.h>
#include <unistd.h>

#include <fstream>

#include "common/core/clock.hpp"
#include "common/core/time_text.hpp"
#include "common/io/log.hpp"
#include "common/version.hpp"

namespace svc {
namespace {

double resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  double size = 0;
  double resident = 0;
  statm >> size >> resident;
  return resident * static_cast<double>(::sysconf(_SC_PAGESIZE));
}

double cpu_seconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

double open_files() {
  DIR* folder = ::opendir("/proc/self/fd");
  if (folder == nullptr) return 0;
  double count = -3;  // ".", ".." and the folder's own descriptor
  while (::readdir(folder) != nullptr) ++count;
  ::closedir(folder);
  return count;
}

double max_files() {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  return static_cast<double>(limit.rlim_cur);
}

}  // namespace

void Counter::add(double n) const {
  if (metric_ != nullptr) metric_->Increment(n);
}
double Counter::value() const { return metric_ == nullptr ? 0 : metric_->Value(); }

void Gauge::set(double value) const {
  if (metric_ != nullptr) metric_->Set(value);
}
void Gauge::add(double n) const {
  // Increment ignores what is negative.
  if (metric_ != nullptr) n < 0 ? metric_->Decrement(-n) : metric_->Increment(n);
}
double Gauge::value() const { return metric_ == nullptr ? 0 : metric_->Value(); }

void Histogram::observe(double value) const {
  if (metric_ != nullptr) metric_->Observe(value);
}

struct Metrics::Impl {
  prometheus::Registry registry;
  std::vector<std::function<void()>> collectors;
};

Metrics::Metrics() : impl_(std::make_unique<Impl>()) {
  gauge("infinilm_build_info", "Always 1; the labels tell which build this is",
        {{"version", std::string(kVersion)}, {"commit", std::string(kGitCommit)}})
      .set(1);
  gauge("process_start_time_seconds", "When the process started, in seconds since 1970").set(epoch_seconds(wall_now()));
  const Gauge resident = gauge("process_resident_memory_bytes", "Memory of the process that is in RAM");
  const Counter cpu = counter("process_cpu_seconds_total", "CPU time used, user and system");
  const Gauge files = gauge("process_open_fds", "Open file descriptors");
  const Gauge files_limit = gauge("process_max_fds", "Limit of open file descriptors");
  const Counter lost = counter("infinilm_log_lines_lost_total", "Log lines that could not be written to the log file");
  add_collector([=] {
    resident.set(resident_bytes());
    cpu.add(cpu_seconds() - cpu.value());
    files.set(open_files());
    files_limit.set(max_files());
    lost.add(static_cast<double>(log_lines_lost()) - lost.value());
  });
}

Metrics::~Metrics() = default;

Counter Metrics::counter(const std::string& name, const std::string& help, const MetricLabels& labels) {
  return Counter(prometheus::BuildCounter().Name(name).Help(help).Register(impl_->registry).Add(labels));
}

Gauge Metrics::gauge(const std::string& name, const std::string& help, const MetricLabels& labels) {
  return Gauge(prometheus::BuildGauge().Name(name).Help(help).Register(impl_->registry).Add(labels));
}

Histogram Metrics::histogram(const std::string& name, const std::string& help, const std::vector<double>& buckets,
                             const MetricLabels& labels) {
  return Histogram(prometheus::BuildHistogram().Name(name).Help(help).Register(impl_->registry).Add(labels, buckets));
}

void Metrics::add_collector(std::function<void()> refresh) { impl_->collectors.push_back(std::move(refresh)); }

std::string Metrics::text() const {
  for (const auto& refresh : impl_->collectors) refresh();
  return prometheus::TextSerializer().Serialize(impl_->registry.Collect());
}

const std::vector<double>& latency_buckets() {
  static const std::vector<double> buckets = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1,
                                              0.25,  0.5,    1.0,   2.5,  5.0,   10.0};
  return buckets;
}

}  // namespace svc
