// How fast an instance works, learned from when its answers begin and how fast they go on. Pure, not thread-safe.
#pragma once

#include <cstdint>

#include "common/core/clock.hpp"

namespace svc::router {

class SpeedMeter {
 public:
  /// `prefill_rate`: tokens a second to start with (0: kDefaultRate); counts like some seconds of observation.
  explicit SpeedMeter(double prefill_rate = kDefaultRate);

  /// Work (in tokens) that was at the head of the instance's queue for `took` until its answer began.
  void prefilled(double work, Duration took);
  /// An answer of `pieces` pieces, from its first to its last.
  void streamed(std::uint64_t pieces, Duration took);
  /// Any answer, from its beginning to its end.
  void answered(Duration took);

  [[nodiscard]] double prefill_rate() const { return work_ / seconds_; }
  /// Pieces a second of one stream; 0 = nothing learned.
  [[nodiscard]] double piece_rate() const { return piece_seconds_ > 0 ? pieces_ / piece_seconds_ : 0; }
  [[nodiscard]] double answer_seconds() const { return answer_seconds_; }
  [[nodiscard]] std::uint64_t samples() const { return samples_; }

  /// Of a 32-billion-parameter model on four cards of 80 GB; see docs/routing.md.
  static constexpr double kDefaultRate = 6700;

 private:
  double work_, seconds_;
  double pieces_ = 0, piece_seconds_ = 0;
  double answer_seconds_ = 0;
  std::uint64_t samples_ = 0;
};

}  // namespace svc::router
