// Calendar time as text. UTC only.
#pragma once

#include <string>

#include "common/core/clock.hpp"

namespace svc {

/// "2026-11-23T12:00:00.123456Z": always 27 characters for the years 0 to 9999.
[[nodiscard]] std::string iso8601(WallTime time);

/// Seconds since 1970, as JSON floats carry them (microseconds survive until the year 2255).
[[nodiscard]] double epoch_seconds(WallTime time);

/// "Mon, 23 Nov 2026 12:00:00 GMT" (RFC 9110 section 5.6.7), for the Date field.
[[nodiscard]] std::string http_date(WallTime time);

}  // namespace svc
