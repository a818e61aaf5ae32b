#include "ctl/core/readiness.hpp"

#include <cstdint>

#include "common/core/duration_text.hpp"
#include "ctl/core/daemon_pages.hpp"

namespace svc::ctl {
namespace {

using Verdict = Readiness::Verdict;

Readiness judge_registry(int status, std::string_view body) {
  const auto health = parse_registry_health(body);
  if (!health) return {Verdict::failed, "somebody else answers there: it is no registry"};
  if (status != 200) return {Verdict::not_yet, health->status};
  return {Verdict::ready, health->status};
}

Readiness judge_router(int status, std::string_view detail) {
  const auto health = parse_router_health(detail);
  if (!health) return {Verdict::failed, "somebody else answers there: it is no router"};
  if (status == 200) return {Verdict::ready, health->status + ", " + health->usable_of_all + " instances usable"};
  std::string text = health->status == "draining" ? health->status : "waits for its first list of services";
  if (!health->registry_error.empty()) text += ": " + health->registry_error;
  return {Verdict::not_yet, text};
}

std::string progress(const AgentStatus& status) {
  std::string text = status.state.empty() ? status.status : status.state;
  if (status.state_seconds) {
    text += " for " + format_duration(std::chrono::seconds(static_cast<std::int64_t>(*status.state_seconds)));
  }
  if (!status.last_exit.empty()) text += ", ended before: " + status.last_exit;
  if (!status.last_line.empty()) text += ": " + status.last_line;
  return text;
}

Readiness judge_service(const ReadinessAnswer& answer) {
  auto known = parse_agent_status(answer.detail);
  if (!known) known = parse_agent_status(answer.body);
  if (!known) return {Verdict::failed, "somebody else answers there: it is no agent"};
  const std::string state = known->state.empty() ? known->status : known->state;
  if (answer.status == 200) {
    if (answer.registered && known->registered == false) return {Verdict::not_yet, state + ", not registered yet"};
    return {Verdict::ready, state};
  }
  const bool gave_up = known->state == "failed" || known->status == "failed";
  return {gave_up ? Verdict::failed : Verdict::not_yet, progress(*known)};
}

}  // namespace

std::string_view readiness_path(DaemonKind kind) { return kind == DaemonKind::router ? "/ready" : "/health"; }

std::string_view detail_path(DaemonKind kind) { return kind == DaemonKind::service ? "/status" : "/health"; }

Readiness judge_readiness(DaemonKind kind, const ReadinessAnswer& answer) {
  switch (kind) {
    case DaemonKind::registry: return judge_registry(answer.status, answer.body);
    case DaemonKind::router: return judge_router(answer.status, answer.detail);
    case DaemonKind::service: return judge_service(answer);
  }
  return {};
}

}  // namespace svc::ctl
