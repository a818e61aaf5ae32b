// Finds out that an upstream hangs: it took requests, says nothing, and does not answer a probe either. Long silence
// alone proves nothing (an answer that is not a stream may take minutes), so silence only makes us ask; two questions
// in a row without an answer are the proof. With the defaults, 500 ms of silence and 1 s for each probe, that is
// known in less than 3 s. An engine whose work has stopped may live on and say so (InfiniLM: /health is 503, and its
// requests never end): that, when its ordinary probes have taken it out for it, is proof as well. Pure; one object per
// upstream.
#pragma once

#include <cstdint>

#include "common/core/clock.hpp"
#include "router/core/upstream.hpp"

namespace svc::router {

struct HungRules {
  Duration silence{std::chrono::milliseconds(500)};
  Duration timeout{std::chrono::seconds(1)};  ///< of one probe; 0 = never look
};

enum class HungAnswer : std::uint8_t {
  answered,   ///< it lives
  unwell,     ///< its ordinary probes have taken it out, and it says again that it cannot work
  timed_out,  ///< nothing came
  refused,    ///< nothing listens there any more
  failed,     ///< something else; the ordinary probes judge it
};

class HungWatch {
 public:
  /// What is seen of the upstream at `now`. True: probe it at once (and tell the outcome by probed()).
  [[nodiscard]] bool look(TimePoint now, std::uint32_t in_flight, TimePoint last_heard, ProbeVerdict verdict,
                          const HungRules& rules);

  enum class Step : std::uint8_t { alive, ask_again, hung };
  /// `last_heard`: read after the probe. Anything heard since look() proves that it lives.
  [[nodiscard]] Step probed(TimePoint now, HungAnswer answer, std::uint32_t in_flight, TimePoint last_heard);

  [[nodiscard]] bool asking() const { return asking_; }

 private:
  bool asking_ = false;
  unsigned unanswered_ = 0;
  TimePoint asked_{};                         // when the first of these probes began
  TimePoint known_alive_ = TimePoint::min();  // by a probe
};

}  // namespace svc::router
