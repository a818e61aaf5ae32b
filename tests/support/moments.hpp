// Moments that tests begin at.
#pragma once

#include "common/core/clock.hpp"

namespace svc::test {

/// Not the clock's zero: some tests look back from it.
inline constexpr TimePoint kStart{std::chrono::seconds(1000)};

/// 2026-11-23T12:00:00.123456Z
inline constexpr WallTime kTime{std::chrono::microseconds(1'795'435'200'123'456)};

}  // namespace svc::test
