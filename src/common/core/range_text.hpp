// Bounds in words, the same in error messages and in the documentation of options.
#pragma once

#include <cstdint>
#include <string>

#include "common/core/clock.hpp"
#include "common/core/text_limits.hpp"

namespace svc {

// "1 to 65535", "at least 1", "at most 9", or "" when there is no bound: an end of the type's range is none.
[[nodiscard]] std::string integer_range(std::int64_t lo, std::int64_t hi);
[[nodiscard]] std::string number_range(double lo, double hi);
[[nodiscard]] std::string duration_range(Duration lo, Duration hi);
/// As a person writes it: "0.0001", "30"; 15 digits.
[[nodiscard]] std::string number_text(double value);
/// "1 to 253 bytes".
[[nodiscard]] std::string text_range(TextLimits limits);

/// "an integer from 1 to 65535", "a duration of at least 1s", "a number": a noun and what the functions above gave.
[[nodiscard]] std::string with_range(const std::string& noun, const std::string& range);

}  // namespace svc
