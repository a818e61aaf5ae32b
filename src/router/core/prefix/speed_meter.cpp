#include "router/core/prefix/speed_meter.hpp"

#include <algorithm>

#include "common/core/duration_text.hpp"

namespace svc::router {
namespace {

// Sums of what was seen fade by this with each sample, so that about the last hundred count.
constexpr double kFade = 0.99;
constexpr double kPriorSeconds = 5;
// Shorter prompts tell of the length of an engine's step rather than of its speed.
constexpr double kLeastWork = 512;
constexpr double kLeastSeconds = 0.001;
constexpr std::uint64_t kFewPieces = 8;
constexpr double kAnswerWeight = 0.05;
// What is stated may be anything.
constexpr double kLeastRate = 1, kMostRate = 1e8;

double sane(double rate) { return rate > 0 ? std::clamp(rate, kLeastRate, kMostRate) : SpeedMeter::kDefaultRate; }

}  // namespace

SpeedMeter::SpeedMeter(double prefill_rate) : work_(sane(prefill_rate) * kPriorSeconds), seconds_(kPriorSeconds) {}

void SpeedMeter::prefilled(double work, Duration took) {
  const double seconds = to_seconds(took);
  if (work < kLeastWork || seconds < kLeastSeconds) return;
  work_ = work_ * kFade + work;
  seconds_ = seconds_ * kFade + seconds;
  ++samples_;
}

void SpeedMeter::streamed(std::uint64_t pieces, Duration took) {
  const double seconds = to_seconds(took);
  if (pieces < kFewPieces || seconds < kLeastSeconds) return;
  pieces_ = pieces_ * kFade + static_cast<double>(pieces - 1);
  piece_seconds_ = piece_seconds_ * kFade + seconds;
}

void SpeedMeter::answered(Duration took) {
  const double seconds = std::max(0.0, to_seconds(took));
  answer_seconds_ = answer_seconds_ == 0 ? seconds : answer_seconds_ + (seconds - answer_seconds_) * kAnswerWeight;
}

}  // namespace svc::router
