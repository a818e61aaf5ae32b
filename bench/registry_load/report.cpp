#include "bench/registry_load/report.hpp"

#include <algorithm>
#include <cmath>
#include <ctime>
#include <fstream>
#include <nlohmann/json.hpp>

namespace svc::bench {
namespace {

double rounded(double value) { return std::round(value * 1000) / 1000; }

double megabytes(std::int64_t kib) { return rounded(static_cast<double>(kib) * 1024 / 1e6); }

}  // namespace

double milliseconds(Duration value) { return rounded(std::chrono::duration<double, std::milli>(value).count()); }
double seconds(Duration value) { return rounded(std::chrono::duration<double>(value).count()); }

nlohmann::ordered_json Samples::to_json() {
  std::sort(values_.begin(), values_.end());
  const auto percentile = [this](std::size_t percent) {
    return values_.empty() ? 0.0 : milliseconds(values_[(values_.size() * percent + 99) / 100 - 1]);
  };
  return {
      {"count", values_.size()}, {"p50_ms", percentile(50)}, {"p99_ms", percentile(99)}, {"max_ms", percentile(100)}};
}

Result<Usage> usage_of(int pid) {
  Usage usage;
  if (pid == 0) {
    return usage;
  }
  const auto gone = not_found("there is no process " + std::to_string(pid));
  // The process's own clock counts what /proc/PID/stat shows as utime + stime, in ns instead of ticks of 10 ms.
  clockid_t clock{};
  timespec time{};
  if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &time) != 0) {
    return gone;
  }
  usage.cpu = std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
  std::ifstream status("/proc/" + std::to_string(pid) + "/status");
  for (std::string key; status >> key; status.ignore(1000, '\n')) {
    if (key == "VmRSS:") {
      status >> usage.rss_kib;
    } else if (key == "VmHWM:") {
      status >> usage.peak_rss_kib;
    }
  }
  if (usage.rss_kib == 0) {
    return gone;
  }
  return usage;
}

void add_usage(nlohmann::ordered_json& report, const Usage& before, const Usage& after, std::size_t calls) {
  if (after.rss_kib == 0) {
    return;
  }
  const auto cpu = after.cpu - before.cpu;
  report["cpu_ms"] = milliseconds(cpu);
  if (calls > 0) {
    report["cpu_us_per_call"] = rounded(milliseconds(cpu) * 1000 / static_cast<double>(calls));
  }
  report["rss_mb"] = megabytes(after.rss_kib);
  report["peak_rss_mb"] = megabytes(after.peak_rss_kib);
}

}  // namespace svc::bench
