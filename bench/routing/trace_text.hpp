// The forms of traces, each text in and values out; parse_trace() chooses.
#pragma once

#include <charconv>
#include <optional>
#include <string>
#include <string_view>

#include "bench/routing/trace.hpp"

namespace svc::routing {

[[nodiscard]] Result<Trace> parse_tr(std::string_view text, const std::string& name);
[[nodiscard]] Result<Trace> parse_mooncake(std::string_view text, const std::string& name);
[[nodiscard]] Result<Trace> parse_azure(std::string_view text, const std::string& name);
/// Lines that are not of an access log are passed over.
[[nodiscard]] Trace parse_access_log(std::string_view text);

/// Requests whose stamps are equal came within one tick of a coarse clock: spreads them evenly over it, in their order.
/// `rows` are in order of time.
void spread_ticks(std::vector<Request>& rows);

/// Seconds since 1970 of "2023-11-16 18:17:03.9799600", or with 'T' as separator and a Z at the end.
[[nodiscard]] std::optional<double> stamp_seconds(std::string_view stamp, char separator);

/// The lines of a text without their ends, counted from 1; empty ones are left out.
class TextLines {
 public:
  explicit TextLines(std::string_view text) : rest_(text) {}

  std::optional<std::string_view> next() {
    while (!rest_.empty()) {
      const auto end = rest_.find('\n');
      auto line = rest_.substr(0, end);
      rest_ = end == std::string_view::npos ? std::string_view{} : rest_.substr(end + 1);
      ++number_;
      if (line.ends_with('\r')) line.remove_suffix(1);
      if (!line.empty()) return line;
    }
    return std::nullopt;
  }
  [[nodiscard]] std::size_t number() const { return number_; }
  /// "NAME, line 7: TEXT"
  [[nodiscard]] Error wrong(const std::string& name, const std::string& text) const {
    return invalid(name + ", line " + std::to_string(number_) + ": " + text);
  }

 private:
  std::string_view rest_;
  std::size_t number_ = 0;
};

/// The text up to the next `end`, which is taken off as well.
inline std::string_view take_field(std::string_view& rest, char end) {
  const auto at = rest.find(end);
  const auto field = rest.substr(0, at);
  rest = at == std::string_view::npos ? std::string_view{} : rest.substr(at + 1);
  return field;
}

template <class Number>
[[nodiscard]] std::optional<Number> to_number(std::string_view text) {
  Number value{};
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (problem != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace svc::routing
