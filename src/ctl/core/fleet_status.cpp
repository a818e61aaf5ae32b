#include "ctl/core/fleet_status.hpp"

#include <algorithm>

#include "common/core/http_url.hpp"
#include "ctl/core/daemon_pages.hpp"
#include "ctl/core/service_rows.hpp"

namespace svc::ctl {
namespace {

std::string no_answer(const PageAnswer& answer) {
  return answer.error.empty() ? "answers " + std::to_string(answer.status) : "no answer: " + answer.error;
}

/// `row.health`, `row.ok` and the uptime out of the pages.
void judge_registry(const PageAnswer& answer, DaemonRow& row) {
  const auto health = parse_registry_health(answer.body);
  if (!health) {
    row.health = answer.status == 0 ? no_answer(answer) : "what answers there is no registry";
    return;
  }
  row.health = health->status;
  row.ok = answer.status == 200 && health->store_state != "failing" && !health->removal_on_hold;
  if (health->uptime_seconds) row.uptime_seconds = health->uptime_seconds;
  if (health->services && health->healthy) {
    row.health +=
        ", " + std::to_string(*health->healthy) + "/" + std::to_string(*health->services) + " entries healthy";
  }
  if (health->warming) row.health += ", warming";
  if (health->removal_on_hold) row.health += ", removal is on hold";
  if (health->store_state == "failing") row.health += ", its store fails";
}

void judge_router(const PageAnswer& answer, DaemonRow& row) {
  const auto health = parse_router_health(answer.body);
  if (!health) {
    row.health = answer.status == 0 ? no_answer(answer) : "what answers there is no router";
    return;
  }
  row.health = health->status + ", " + health->usable_of_all + " instances usable";
  row.ok =
      answer.status == 200 && health->status == "healthy" && health->registry_state != "unreachable" && !health->panic;
  if (health->uptime_seconds) row.uptime_seconds = health->uptime_seconds;
  if (!health->registry_state.empty() && health->registry_state != "none") {
    row.health += ", registry " + health->registry_state;
  }
  if (health->panic) row.health += ", panic";
}

void judge_agent(const PartAnswers& answers, DaemonRow& row) {
  auto status = parse_agent_status(answers.detail.body);
  if (!status) status = parse_agent_status(answers.health.body);
  if (!status) {
    row.health = answers.health.status == 0 ? no_answer(answers.health) : "what answers there is no agent";
    return;
  }
  row.ok = answers.health.status == 200;
  row.health = status->state.empty() ? status->status : status->state;
  if (status->agent_uptime_seconds) row.uptime_seconds = status->agent_uptime_seconds;
  if (!row.ok && !status->last_exit.empty()) row.health += ", ended before: " + status->last_exit;
}

DaemonRow local_row(const PartAnswers& answers) {
  DaemonRow row;
  row.name = answers.part.name;
  row.pid = answers.pid ? answers.pid : answers.listener;
  row.port = answers.part.port;
  row.uptime_seconds = answers.uptime_seconds;
  if (!answers.part.problem.empty() && !answers.pid) {
    row.health = "cannot be started: " + answers.part.problem;
    return row;
  }
  if (!row.pid && answers.health.status == 0) {
    row.health = "not started";
    return row;
  }
  switch (answers.part.kind) {
    case DaemonKind::registry: judge_registry(answers.health, row); break;
    case DaemonKind::router: judge_router(answers.health, row); break;
    case DaemonKind::service: judge_agent(answers, row); break;
  }
  return row;
}

DaemonRow remote_row(const std::string& name, const std::string& url) {
  DaemonRow row;
  row.name = name;
  if (const auto parsed = parse_http_url(url)) {
    row.address = parsed->endpoint.to_string();
    row.port = parsed->endpoint.port;
  }
  return row;
}

/// "running, for the router ejected"
std::string view_of(const ServiceRow& row) {
  return row.state + (row.routing.empty() ? "" : ", for the router " + row.routing);
}

bool has(const FleetAnswers& answers, DaemonKind kind) {
  for (const PartAnswers& each : answers.parts) {
    if (each.part.kind == kind) return true;
  }
  return false;
}

}  // namespace

FleetStatus judge_fleet(const FleetAnswers& answers) {
  FleetStatus fleet;
  if (!answers.registry_url.empty() && !has(answers, DaemonKind::registry)) {
    DaemonRow row = remote_row("registry", answers.registry_url);
    judge_registry(answers.registry_health, row);
    fleet.daemons.push_back(row);
  }
  if (!answers.router_url.empty() && !has(answers, DaemonKind::router)) {
    DaemonRow row = remote_row("router", answers.router_url);
    judge_router(answers.router_health, row);
    if (row.ok || answers.router_known || answers.router_health.status != 0) fleet.daemons.push_back(row);
  }
  for (const PartAnswers& each : answers.parts) fleet.daemons.push_back(local_row(each));
  for (const DaemonRow& row : fleet.daemons) {
    if (!row.ok) fleet.problems.push_back(row.name + ": " + row.health);
  }
  if (answers.registry_services.status == 401 || answers.registry_services.status == 403) {
    fleet.problems.emplace_back("the registry wants a token to list its services: --token-file");
  }
  fleet.services = service_rows(answers);
  for (const ServiceRow& row : fleet.services) {
    if (!row.ok) fleet.problems.push_back("service " + row.name + ": " + view_of(row));
  }
  if (fleet.daemons.empty()) fleet.problems.emplace_back("nothing belongs to this host, and no registry is known");
  return fleet;
}

std::vector<std::string> not_used_yet(const FleetStatus& fleet, const std::vector<std::string>& services) {
  std::vector<std::string> waiting;
  for (const ServiceRow& row : fleet.services) {
    const bool wanted = std::find(services.begin(), services.end(), row.name) != services.end();
    if (wanted && !row.ok && !row.routing.empty()) waiting.push_back(row.name + " (" + view_of(row) + ")");
  }
  return waiting;
}

}  // namespace svc::ctl
