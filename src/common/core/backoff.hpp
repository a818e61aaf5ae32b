// Exponential backoff with full jitter: the n-th wait is uniform in [0, min(max, first * factor^n)].
// Algorithm: "Exponential Backoff And Jitter" (AWS Architecture Blog, 2015), the FullJitter form.
#pragma once

#include <cstdint>

#include "common/core/clock.hpp"

namespace svc {

struct BackoffSettings {
  Duration first{};     ///< ceiling of the first wait
  Duration max{};       ///< no ceiling grows beyond this; less than `first` means `max` always
  double factor = 2.0;  ///< growth per attempt; below 1 counts as 1
};

/// Not thread-safe; one per retried thing.
class Backoff {
 public:
  explicit Backoff(BackoffSettings settings);

  /// The next wait, from 64 uniformly random bits; counts one attempt.
  [[nodiscard]] Duration next(std::uint64_t random_bits);
  /// The ceiling that next() would draw under: for tests and logs.
  [[nodiscard]] Duration ceiling() const;
  /// After a success: start again from `first`.
  void reset();
  /// Calls of next() since the last reset.
  [[nodiscard]] unsigned attempts() const { return attempts_; }

 private:
  BackoffSettings settings_;
  double ceiling_ns_ = 0.0;
  unsigned attempts_ = 0;
};

}  // namespace svc
