// Keeps one name registered: what to call next and when, in virtual time. Pure; the calls are made by io.
//
// Works with every registry that knows POST /services, POST /services/{name}/heartbeat and DELETE /services/{name}. A
// 404 to a heartbeat registers again at once; an unreachable registry is tried for ever with backoff and full jitter.
//
// Where the registry says that somebody else has registered the name, it is his: it is asked for at the interval, and
// registered again once it is free. Only a new agent takes a name from another one.
#pragma once

#include <cstdint>

#include "common/core/backoff.hpp"
#include "common/core/clock.hpp"

namespace svc::agent {

enum class LeaseCall : std::uint8_t { none, enroll, heartbeat, withdraw };

enum class LeaseReply : std::uint8_t {
  accepted,  ///< 2xx
  unknown,   ///< 404
  taken,     ///< 409 to a call that said which registration it is about: the present one is another
  refused,   ///< any other 4xx: retried with backoff, since a configuration at the other end may change
  failed,    ///< no answer, 5xx
};

class LeaseKeeper {
 public:
  /// Heartbeats go out every `interval`, each up to 10 % early (jitter). Retries: 0.5 s to `interval`, at most 30 s.
  /// An interval below kShortestInterval counts as that.
  explicit LeaseKeeper(Duration interval);

  /// The name shall be registered; a changed registration (status aside) means enroll again, at once.
  void want(TimePoint now);
  /// The name shall be gone.
  void want_gone(TimePoint now);
  /// An earlier owner may have registered the name: want_gone() withdraws it.
  void assume_enrolled() { maybe_enrolled_ = true; }
  /// Something to tell (a status): the next heartbeat is due now. An enroll that is still to come tells it too.
  void hurry(TimePoint now);

  /// The call to make now; none while one is under way or nothing is due.
  [[nodiscard]] LeaseCall next(TimePoint now);
  /// The reply to the call that next() gave. A reply to a call that was overtaken by want()/want_gone()/hurry() does
  /// its part and the newer wish is due at once. `random`: 64 uniform bits.
  void replied(TimePoint now, LeaseCall call, LeaseReply reply, std::uint64_t random);
  /// When next() will have something; TimePoint::max() while a call is under way or nothing is wished.
  [[nodiscard]] TimePoint wake_at() const;

  [[nodiscard]] bool enrolled() const { return enrolled_; }
  [[nodiscard]] bool taken() const { return taken_; }  ///< by somebody else, when last asked
  /// want_gone() was carried out (or the name was never registered), and no call is under way.
  [[nodiscard]] bool settled_gone() const;
  [[nodiscard]] unsigned failures_in_a_row() const { return failures_; }

  static constexpr Duration kShortestInterval{std::chrono::milliseconds(10)};

 private:
  enum class Wish : std::uint8_t { nothing, registered, gone };

  void take_enroll_reply(LeaseReply reply);
  void take_heartbeat_reply(LeaseReply reply);
  void take_withdraw_reply(LeaseReply reply);
  void lose(bool to_somebody_else);
  void schedule(TimePoint now, LeaseCall call, LeaseReply reply, std::uint64_t random);
  [[nodiscard]] bool maybe_there() const { return enrolled_ || maybe_enrolled_; }
  void wish_anew(TimePoint now);

  Duration interval_;
  Backoff backoff_;
  Wish wish_ = Wish::nothing;
  bool enrolled_ = false;
  bool maybe_enrolled_ = false;  ///< an enroll was sent and its reply was lost: withdraw all the same
  bool taken_ = false;
  bool again_ = false;  ///< what is registered is out of date
  bool busy_ = false;
  bool overtaken_ = false;  ///< there was a wish since the call under way began
  unsigned failures_ = 0;
  TimePoint due_ = TimePoint::max();
  TimePoint asked_at_{};  ///< the call under way, or the last one
};

}  // namespace svc::agent
