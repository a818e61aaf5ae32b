#include "router/core/key_limits.hpp"

#include <algorithm>

namespace svc::router {
namespace {

constexpr double kMostDebtMinutes = 60;

double seconds_between(TimePoint from, TimePoint to) {
  return to <= from ? 0.0 : std::chrono::duration<double>(to - from).count();
}

}  // namespace

void KeyLimits::Left::refill(TimePoint now, double per_minute, double capacity) {
  if (!started) {
    started = true;
    amount = capacity;
    at = now;
  }
  amount = std::min(capacity, amount + seconds_between(at, now) * per_minute / 60);
  at = std::max(at, now);
}

std::optional<double> KeyLimits::take_request(TimePoint now, double per_minute) {
  if (per_minute <= 0) return std::nullopt;
  requests_.refill(now, per_minute, std::max(1.0, per_minute));
  // Sixty refills of a sixtieth may be a little less than one.
  constexpr double kRounding = 1e-9;
  if (requests_.amount >= 1 - kRounding) {
    requests_.amount -= 1;
    return std::nullopt;
  }
  return (1 - requests_.amount) * 60 / per_minute;
}

std::optional<double> KeyLimits::token_wait(TimePoint now, double per_minute) {
  if (per_minute <= 0) return std::nullopt;
  tokens_.refill(now, per_minute, per_minute);
  if (tokens_.amount >= 0) return std::nullopt;
  return -tokens_.amount * 60 / per_minute;
}

void KeyLimits::spend_tokens(TimePoint now, double per_minute, std::uint64_t tokens) {
  if (per_minute <= 0) return;
  tokens_.refill(now, per_minute, per_minute);
  tokens_.amount = std::max(tokens_.amount - static_cast<double>(tokens), -kMostDebtMinutes * per_minute);
}

}  // namespace svc::router
