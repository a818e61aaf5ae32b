// What `infinilm-ctl status` shows: the pages of all daemons put together, with a verdict.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "ctl/core/fleet_pages.hpp"
#include "ctl/core/host_plan.hpp"

namespace svc::ctl {

/// An answer to a GET, or why there was none.
struct PageAnswer {
  int status = 0;  ///< 0: no answer, or it was not asked
  std::string body;
  std::string error;  ///< "" = there was an answer, or it was not asked
};

/// A part of this host and what it said.
struct PartAnswers {
  Part part;
  std::optional<int> pid;                ///< of what the script started; nullopt: it does not run
  std::optional<int> listener;           ///< without such a pid: of what listens in its place; nullopt: nothing seen
  std::optional<double> uptime_seconds;  ///< of the process with `pid`
  PageAnswer health;                     ///< GET /health
  PageAnswer detail;                     ///< of an agent GET /status
};

struct FleetAnswers {
  std::vector<PartAnswers> parts;  ///< that belong here, or run here
  std::string registry_url;        ///< "" = there is none
  PageAnswer registry_health, registry_services, registry_stats;
  std::string router_url;
  bool router_known = false;  ///< false: the URL is a guess; silence there means nothing
  PageAnswer router_health, router_stats;
};

struct DaemonRow {
  std::string name;
  std::optional<int> pid;
  std::string address;  ///< "host:port" of one that is elsewhere; "" = here
  std::uint16_t port = 0;
  std::optional<double> uptime_seconds;
  std::string health;  ///< in words
  bool ok = false;
};

struct ServiceRow {
  std::string name;
  std::string host;
  std::uint16_t port = 0;  ///< of the engine; 0 = not known
  std::string state;       ///< in words, as registry or agent say
  std::string routing;     ///< the router's state of it; "" = not known
  std::vector<std::string> models;
  std::optional<std::int64_t> weight, in_flight, requests, errors, restarts;
  std::optional<double> ttft_p50_seconds, ttft_p95_seconds;
  bool backup = false;
  bool ok = false;
};

struct FleetStatus {
  std::vector<DaemonRow> daemons;
  std::vector<ServiceRow> services;   ///< by name
  std::vector<std::string> problems;  ///< a sentence each, what is wrong and where to look; empty = all is well

  [[nodiscard]] bool ok() const { return problems.empty(); }
};

[[nodiscard]] FleetStatus judge_fleet(const FleetAnswers& answers);

/// Those of the services that the router does not use yet, with what is known of them: "gpu1 (running, for the router unknown
/// to it)". A service counts only while a router answers that has it, or that should have it out of its registry.
[[nodiscard]] std::vector<std::string> not_used_yet(const FleetStatus& fleet, const std::vector<std::string>& services);

}  // namespace svc::ctl
