// Makers of the policies; policy_kinds() is their list.
#pragma once

#include <chrono>
#include <memory>

#include "bench/routing/policy.hpp"
#include "common/core/clock.hpp"

namespace svc::routing {

std::unique_ptr<Policy> make_round_robin(const Fleet& fleet);
std::unique_ptr<Policy> make_random(const Fleet& fleet);
std::unique_ptr<Policy> make_least_connections(const Fleet& fleet);
std::unique_ptr<Policy> make_session(const Fleet& fleet);

// Rules of other routers, from their descriptions.
std::unique_ptr<Policy> make_cache_aware(const Fleet& fleet);
std::unique_ptr<Policy> make_gateway(const Fleet& fleet);
std::unique_ptr<Policy> make_block_cost(const Fleet& fleet);
std::unique_ptr<Policy> make_double_block_cost(const Fleet& fleet);
std::unique_ptr<Policy> make_product(const Fleet& fleet);

std::unique_ptr<Policy> make_prefix_aware(const Fleet& fleet);
std::unique_ptr<Policy> make_prefix_aware_hold(const Fleet& fleet);

std::unique_ptr<Policy> make_oracle(const Fleet& fleet);

/// Virtual seconds as the product's clock; its zero is not the sentinel of "never".
[[nodiscard]] inline TimePoint time_point(double seconds) {
  return TimePoint(std::chrono::hours(1) + Duration(static_cast<Duration::rep>(seconds * 1e9)));
}

}  // namespace svc::routing
