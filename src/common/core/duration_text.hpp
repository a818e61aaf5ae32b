// Durations as people write them in configuration files, flags and query parameters.
#pragma once

#include <string>
#include <string_view>

#include "common/core/clock.hpp"
#include "common/core/result.hpp"

namespace svc {

/// "500ms" "30s" "5m" "1h" "2d" "1.5s" "250us" "7ns"; a bare number is seconds ("45", "0.5"). No sign, no blanks, no
/// exponent, one unit. Digits below a nanosecond are cut. Error: client's, names the text and the accepted form.
[[nodiscard]] Result<Duration> parse_duration(std::string_view text);

/// The shortest exact form that parse_duration reads back to the same value: "1h" "90s" "1.5s" "500ms" "0s".
/// Negative values get a leading '-' (parse_duration refuses those).
[[nodiscard]] std::string format_duration(Duration value);

/// Seconds to a Duration, rounded to nanoseconds; an error for NaN, negative numbers and 292 years or more.
[[nodiscard]] Result<Duration> duration_from_seconds(double seconds);

/// The value in seconds.
[[nodiscard]] double to_seconds(Duration value);

}  // namespace svc
