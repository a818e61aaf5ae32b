// Prometheus' text exposition (0.0.4), written straight from counters that live elsewhere. prometheus-cpp's own
// registry would want each series registered, kept and removed.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "router/core/traffic_sum.hpp"

namespace svc::router {

/// Series follow the family that was begun last.
class ExpositionText {
 public:
  void counter(std::string_view name, std::string_view help) { family(name, help, "counter"); }
  void gauge(std::string_view name, std::string_view help) { family(name, help, "gauge"); }
  void histogram(std::string_view name, std::string_view help) { family(name, help, "histogram"); }

  /// `labels`: made by label(), or "".
  void value(std::string_view labels, double number);
  void value(std::string_view labels, std::uint64_t number);
  void value(std::string_view labels, std::int64_t number);
  void value(std::string_view labels, const TimeSum& times);
  /// Of a histogram: `counts` has one more than `bounds`, for what is above the last.
  void value(std::string_view labels, std::span<const double> bounds, std::span<const std::uint64_t> counts,
             double sum);

  [[nodiscard]] std::string take() { return std::move(text_); }

 private:
  void family(std::string_view name, std::string_view help, std::string_view type);
  void begin(std::string_view suffix, std::string_view labels, std::string_view last_label = {});

  std::string text_;
  std::string name_;
};

/// `key="value"`, escaped, behind what is there already and a comma.
[[nodiscard]] std::string label(std::string_view before, std::string_view key, std::string_view value);

}  // namespace svc::router
