#include "registry/core/removal_guard.hpp"

#include <algorithm>
#include <cmath>

namespace svc::registry {

namespace {

/// An agent and its engine are two registrations: when both end together, one thing has died, not a network.
constexpr std::size_t kMassExpiry = 3;

bool at_least_half(std::size_t alive, std::size_t fleet) { return alive >= fleet - fleet / 2; }

}  // namespace

RemovalGuard::RemovalGuard(RemovalSettings settings) : settings_(settings) {}

void RemovalGuard::reconfigure(RemovalSettings settings) { settings_ = settings; }

Duration RemovalGuard::window() const {
  const Duration longest = longest_.empty() ? Duration::zero() : longest_.front();
  return std::max(settings_.interval, std::min(longest, settings_.hold_limit));
}

void RemovalGuard::forget_oldest() {
  if (expired_.front().length == longest_.front()) longest_.pop_front();
  expired_.pop_front();
}

void RemovalGuard::forget_before(TimePoint now) {
  while (!expired_.empty() && now - expired_.front().at > window()) forget_oldest();
}

void RemovalGuard::lease_expired(TimePoint now, Duration length, std::size_t fleet, std::size_t alive) {
  expired_.push_back({now, length});
  while (!longest_.empty() && longest_.back() < length) longest_.pop_back();
  longest_.push_back(length);
  // More than a fleet's worth decides nothing, and one that flaps must not fill the memory.
  while (expired_.size() > std::max(fleet, kMassExpiry)) forget_oldest();
  forget_before(now);
  if (status_.on_hold) return;
  // One service that flaps can fill the window by itself; it is a collapse only when the fleet is really gone.
  const bool collapse = expired_.size() >= kMassExpiry && expired_.size() > fleet / 2 && !at_least_half(alive, fleet);
  if (!collapse) return;
  status_.on_hold = true;
  status_.since = now;
  ++status_.holds;
}

void RemovalGuard::review(TimePoint now, std::size_t fleet, std::size_t alive) {
  if (!status_.on_hold) return;
  if (!at_least_half(alive, fleet) && now - *status_.since < settings_.hold_limit) return;
  status_.on_hold = false;
  status_.since.reset();
  expired_.clear();  // the next hold needs a collapse of its own
  longest_.clear();
}

std::size_t RemovalGuard::allowance(TimePoint now, std::size_t fleet, std::size_t alive, std::size_t stale) {
  forget_before(now);
  review(now, fleet, alive);
  std::size_t allowed = 0;
  if (!status_.on_hold && stale > 0) {
    // The small addend keeps shares that are whole in decimal (0.29 of 100) whole in binary.
    const double share = std::floor(static_cast<double>(fleet) * settings_.max_share + 1e-9);
    allowed = std::min(stale, std::max<std::size_t>(1, static_cast<std::size_t>(share)));
  }
  status_.waiting = stale - allowed;
  return allowed;
}

}  // namespace svc::registry
