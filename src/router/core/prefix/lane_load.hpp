// What one instance has to do, as far as this router gave it: prompts that it has not answered yet, answers in progress,
// tokens that they keep in its cache. Pure, not thread-safe.
#pragma once

#include <cstdint>
#include <vector>

#include "common/core/clock.hpp"
#include "router/core/prefix/speed_meter.hpp"

namespace svc::router {

struct LaneSpec {
  std::uint64_t kv_tokens = 131'072;  ///< of its cache
  bool kv_stated = false;             ///< by the instance; else it is learned from what it says of cached tokens
  double prefill_rate = SpeedMeter::kDefaultRate;  ///< to start with, tokens a second
  bool serial = false;  ///< one request at a time, and only the last one's prefix is kept (a static cache)

  bool operator==(const LaneSpec&) const = default;
};

/// One request's share of a lane's load.
struct Burden {
  double work = 0;      ///< prefill, in tokens of a short prompt: tokens deep in a context cost more
  double uncached = 0;  ///< tokens to prefill
  double tokens = 0;    ///< of the prompt
  bool streams = true;  ///< its first byte will be seen; else its progress is guessed
};

class LaneLoad {
 public:
  LaneLoad() : LaneLoad(LaneSpec{}) {}
  explicit LaneLoad(const LaneSpec& spec) : spec_(spec), speed_(spec.prefill_rate) {}

  void respec(const LaneSpec& spec) { spec_ = spec; }
  [[nodiscard]] const LaneSpec& spec() const { return spec_; }

  void sent(std::uint64_t id, const Burden& burden, TimePoint now);
  /// Its answer has begun. Nothing happens for one that is unknown, or that is known to have begun.
  void first_byte(std::uint64_t id, TimePoint now);
  /// Ended, however it did. `complete`: with the whole answer; else nothing is known of the instance's progress.
  void ended(std::uint64_t id, const Burden& burden, bool complete, TimePoint now);
  void learn_stream(std::uint64_t pieces, Duration took) { speed_.streamed(pieces, took); }
  void learn_answer(Duration took) { speed_.answered(took); }

  /// Prefill that is still to be done, less what has probably been done of the first one.
  [[nodiscard]] double queued_work(TimePoint now);
  [[nodiscard]] double uncached() const { return uncached_; }
  /// As of the last queued_work(): whose prompts are not done.
  [[nodiscard]] std::size_t waiting() const { return waiting_.size(); }
  [[nodiscard]] std::uint32_t decoding() const { return decoding_; }
  [[nodiscard]] double active_tokens() const { return tokens_; }
  [[nodiscard]] std::uint32_t active() const { return active_; }
  [[nodiscard]] const SpeedMeter& speed() const { return speed_; }

  enum class Stall : std::uint8_t { none, first_byte, pieces };
  /// Its answers have stopped making progress, measured by its own past. `heard`: when bytes came from it last. While an
  /// answer that does not stream is awaited, only streams that have begun are looked at: others may wait for its place.
  [[nodiscard]] Stall stalled(TimePoint now, TimePoint heard) const;
  static constexpr Duration kStallFloor = std::chrono::seconds(10);
  static constexpr double kStallFactor = 10;

 private:
  struct Waiting {
    std::uint64_t id;
    Burden burden;
    TimePoint since;
  };
  void advance(TimePoint now);
  bool take_out(std::uint64_t id, TimePoint now, bool measured);
  void progressed(TimePoint now);
  [[nodiscard]] bool stream_begun() const;
  [[nodiscard]] TimePoint head_began() const;

  LaneSpec spec_;
  SpeedMeter speed_;
  std::vector<Waiting> waiting_;  // in order of their coming
  TimePoint last_begun_{};        // when an answer began last
  TimePoint last_progress_{};
  double largest_ = 0;  // of the work that was there since then, given up or not: what a silence may be due to
  double work_ = 0, uncached_ = 0, tokens_ = 0;
  std::uint32_t decoding_ = 0, active_ = 0;
  std::uint32_t opaque_ = 0;  // of the active ones, those that do not stream
};

}  // namespace svc::router
