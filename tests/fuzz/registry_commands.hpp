// Turns a fuzzer's bytes into the arguments of RegistryState's calls. Few values of each kind, so that commands meet.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>

#include "registry/core/registry_state.hpp"

namespace svc::fuzz {

inline constexpr std::size_t kMaxServices = 12;
inline constexpr std::size_t kNames = 16;
inline constexpr std::size_t kEventCapacity = 32;

/// Every byte after the last is 0.
class Commands {
 public:
  Commands(const std::uint8_t* data, std::size_t size) : data_(data), size_(size) {}
  bool empty() const { return at_ >= size_; }
  std::size_t byte() { return empty() ? 0 : data_[at_++]; }
  std::size_t below(std::size_t limit) { return byte() % limit; }

  registry::StateSettings settings() {
    using namespace std::chrono_literals;
    constexpr Duration kLeases[] = {120s, 1s, 10s, 24h * 365};
    constexpr Duration kRemovals[] = {300s, 1s, 60s, 24h * 365};
    registry::StateSettings made;
    const std::size_t choice = byte();
    made.heartbeat_timeout = kLeases[choice & 3U];
    made.remove_after = std::max(made.heartbeat_timeout, kRemovals[(choice >> 2U) & 3U]);
    made.on_name_conflict =
        (choice & 16U) != 0 ? registry::NameConflictPolicy::reject : registry::NameConflictPolicy::accept;
    made.removal.max_share = (choice & 32U) != 0 ? 0.15 : 1.0;
    made.health = {static_cast<std::int64_t>((choice >> 6U) & 3U), 1 + static_cast<std::int64_t>(choice & 1U)};
    made.max_services = kMaxServices;
    made.event_log_capacity = kEventCapacity;
    return made;
  }

  std::string name() { return std::string(1, static_cast<char>('a' + below(kNames))); }

  std::optional<Duration> some(std::size_t choice, Duration a, Duration b, Duration c) {
    const Duration values[] = {a, b, c};
    if (choice == 0) return std::nullopt;
    return values[choice - 1];
  }

  wire::ServiceSpec spec(std::string called) {
    using namespace std::chrono_literals;
    const std::size_t choice = byte();
    const std::size_t terms = byte();
    wire::ServiceSpec made;
    made.name = std::move(called);
    made.host = (choice & 1U) != 0 ? "10.0.0.1" : "[::1]";
    made.port = static_cast<std::uint16_t>(1 + ((choice >> 1U) & 1U));
    made.hostname = "host";
    made.url = "http://10.0.0.1:1";
    made.status = (choice & 4U) != 0 ? "stopped" : "running";
    if ((choice & 8U) != 0) made.metadata_json = R"({"health_url":"http://10.0.0.1/h","type":"t"})";
    made.max_fails_given = (choice & 16U) != 0;
    made.max_fails = static_cast<std::int64_t>(choice >> 5U);
    made.heartbeat_interval = some(terms & 3U, 100ms, 10s, 24h);
    made.remove_after = some((terms >> 2U) & 3U, 1s, 60s, 24h * 30);
    return made;
  }

  wire::ServicePatch patch() {
    const std::size_t choice = byte();
    const wire::ServiceSpec other = spec("");
    wire::ServicePatch made;
    if ((choice & 1U) != 0) made.host = other.host;
    if ((choice & 2U) != 0) made.port = other.port;
    if ((choice & 4U) != 0) made.status = other.status;
    if ((choice & 8U) != 0) made.metadata_json = other.metadata_json;
    if ((choice & 16U) != 0) made.max_fails = other.max_fails;
    if ((choice & 32U) != 0) made.heartbeat_interval = other.heartbeat_interval;
    if ((choice & 64U) != 0) made.remove_after = other.remove_after;
    return made;
  }

 private:
  const std::uint8_t* data_;
  std::size_t size_;
  std::size_t at_ = 0;
};

}  // namespace svc::fuzz
