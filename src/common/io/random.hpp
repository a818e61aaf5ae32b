// Random bits for jitter, choices and identifiers. Not for secrets. The one place that asks the system for entropy.
#pragma once

#include <cstdint>
#include <limits>
#include <random>

namespace svc {

/// A uniform random bit generator (so it goes into std::shuffle and the distributions). Belongs to one thread.
class Random {
 public:
  using result_type = std::uint64_t;

  /// Seeded by the system: two processes never walk in step.
  Random() : engine_(system_seed()) {}
  /// Seeded by hand: tests repeat exactly.
  explicit Random(std::uint64_t seed) : engine_(seed) {}

  std::uint64_t operator()() { return engine_(); }

  static constexpr std::uint64_t min() { return std::numeric_limits<std::uint64_t>::min(); }
  static constexpr std::uint64_t max() { return std::numeric_limits<std::uint64_t>::max(); }

 private:
  static std::uint64_t system_seed() {
    std::random_device device;
    return (std::uint64_t{device()} << 32U) | std::uint64_t{device()};
  }

  std::mt19937_64 engine_;
};

}  // namespace svc
