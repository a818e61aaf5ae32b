// Reads the events of one stream and checks that each token came, once and in order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "bench/load/tally.hpp"
#include "common/core/clock.hpp"

namespace svc::load {

class StreamCheck {
 public:
  explicit StreamCheck(Tally& tally) : tally_(tally) {}

  /// For the next stream.
  void reset();
  /// An HTTP chunk begins.
  void on_chunk() { in_chunk_ = 0; }
  /// A piece of the body, read from the socket at `now`.
  void on_body(std::string_view piece, TimePoint now);
  /// The stream is over and was to have that many tokens: those that are missing are lost.
  void finish(std::size_t tokens);

  [[nodiscard]] std::size_t tokens() const { return tokens_; }
  [[nodiscard]] std::uint64_t cached_tokens() const { return cached_; }  ///< of the event with the usage; 0: not told
  [[nodiscard]] bool done() const { return done_; }                      ///< [DONE] came
  [[nodiscard]] bool error_event() const { return error_; }              ///< the server said that it failed

 private:
  void on_event(std::string_view event, TimePoint now);
  void on_token(std::uint64_t number, TimePoint now, TimePoint sent);

  static constexpr std::size_t kMaxMissing = 4096;

  Tally& tally_;
  std::string partial_;                 // an event that is not complete yet
  std::vector<std::uint64_t> missing_;  // numbers that were skipped
  std::uint64_t next_ = 0;
  std::size_t tokens_ = 0;
  std::size_t in_chunk_ = 0;
  std::uint64_t cached_ = 0;
  bool done_ = false;
  bool error_ = false;
};

}  // namespace svc::load
