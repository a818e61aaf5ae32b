// What an API key has left of its requests and tokens.
#pragma once

#include <cstdint>
#include <optional>

#include "common/core/clock.hpp"

namespace svc::router {

/// Two buckets that hold a minute's worth. The rates are given in each call, since a reload may change them while what
/// was used counts on; 0 = no limit, nothing is counted. Not thread-safe. A `now` earlier than the last one counts as
/// no time passed.
class KeyLimits {
 public:
  /// nullopt: allowed, one request counted. Else the seconds until it would be. A minute's worth may come at once.
  std::optional<double> take_request(TimePoint now, double per_minute);
  /// Tokens are known only when they have been used: a key in debt waits until it is out of it (an hour at most).
  std::optional<double> token_wait(TimePoint now, double per_minute);
  void spend_tokens(TimePoint now, double per_minute, std::uint64_t tokens);

 private:
  struct Left {
    double amount = 0;
    TimePoint at{};
    bool started = false;
    void refill(TimePoint now, double per_minute, double capacity);
  };
  Left requests_, tokens_;
};

}  // namespace svc::router
