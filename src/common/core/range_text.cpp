#include "common/core/range_text.hpp"

#include <array>
#include <cstdio>
#include <limits>

#include "common/core/duration_text.hpp"

namespace svc {
namespace {

template <class T, class Print>
std::string range(T lo, T hi, T lowest, T highest, Print print) {
  const bool has_lo = lo != lowest;
  const bool has_hi = hi != highest;
  if (has_lo && has_hi) return print(lo) + " to " + print(hi);
  if (has_lo) return "at least " + print(lo);
  if (has_hi) return "at most " + print(hi);
  return {};
}

}  // namespace

std::string number_text(double value) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.15g", value);
  return text.data();
}

std::string integer_range(std::int64_t lo, std::int64_t hi) {
  using Limits = std::numeric_limits<std::int64_t>;
  return range(lo, hi, Limits::min(), Limits::max(), [](std::int64_t value) { return std::to_string(value); });
}

std::string number_range(double lo, double hi) {
  using Limits = std::numeric_limits<double>;
  return range(lo, hi, Limits::lowest(), Limits::max(), number_text);
}

std::string duration_range(Duration lo, Duration hi) {
  return range(lo, hi, Duration::min(), Duration::max(), format_duration);
}

std::string text_range(TextLimits limits) {
  const std::string bytes = range<std::size_t>(limits.min, limits.max, 0, std::numeric_limits<std::size_t>::max(),
                                               [](std::size_t value) { return std::to_string(value); });
  return bytes.empty() ? bytes : bytes + " bytes";
}

std::string with_range(const std::string& noun, const std::string& range) {
  if (range.empty()) return noun;
  if (range.starts_with("at ")) return noun + " of " + range;
  return noun + " from " + range;
}

}  // namespace svc
