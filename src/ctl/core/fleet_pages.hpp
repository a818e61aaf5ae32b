// The lists of services that registry and router answer, as values. What earlier implementations lack is nullopt or empty.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace svc::ctl {

/// An entry of the registry's GET /services.
struct RegisteredService {
  std::string name;
  std::string host;
  std::uint16_t port = 0;
  std::string status;         ///< "running", "starting", ...
  std::string health_status;  ///< of probes: "healthy", "unhealthy", "unknown"
  bool is_healthy = false;    ///< it may take work
  std::string type;           ///< metadata.type
  std::string parent;         ///< metadata.parent_service: the agent's entry that it belongs to; "" = none
  std::vector<std::string> models;
  std::optional<std::int64_t> weight;
  bool backup = false;
  std::optional<std::int64_t> restarts;  ///< of an agent's entry
  std::string last_exit;                 ///< of an agent's entry: why the engine ended last
};

/// A service that the registry's configuration names and nobody has registered.
struct MissingService {
  std::string name;
  std::string host;
};

/// An instance of the router's GET /stats.
struct RoutedService {
  std::string name;
  std::string host;
  std::uint16_t port = 0;
  std::string state;  ///< "up", "unknown", "ejected", "draining", "down", "hung"
  bool usable = false;
  bool is_static = false;  ///< of the router's own configuration
  bool backup = false;
  std::vector<std::string> models;
  std::optional<std::int64_t> weight, in_flight, requests, errors;
  std::optional<double> ttft_p50_seconds, ttft_p95_seconds;  ///< nullopt before the first answer
};

// nullopt: the text is no such page.
[[nodiscard]] std::optional<std::vector<RegisteredService>> parse_registered_services(std::string_view body);
[[nodiscard]] std::optional<std::vector<RoutedService>> parse_routed_services(std::string_view body);
/// Of the registry's GET /stats; empty when it does not say.
[[nodiscard]] std::vector<MissingService> parse_missing_services(std::string_view body);

}  // namespace svc::ctl
