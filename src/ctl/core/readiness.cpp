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

Readiness judge_service(int status, std::string_view body, std::string_view detail) {
  auto known = parse_agent_status(detail);
  if (!known) known = parse_agent_status(body);
  if (!known) return {Verdict::failed, "somebody else answers there: it is no agent"};
  if (status == 200) return {Verdict::ready, known->state.empty() ? known->status : known->state};
  const bool gave_up = known->state == "failed" || known->status == "failed";
  return {gave_up ? Verdict::failed : Verdict::not_yet, progress(*known)};
}

}  // namespace

std::string_view readiness_path(DaemonKind kind) { return kind == DaemonKind::router ? "/ready" : "/health"; }

std::string_view detail_path(DaemonKind kind) { return kind == DaemonKind::service ? "/status" : "/health"; }

Readiness judge_readiness(DaemonKind kind, int status, std::string_view body, std::string_view detail) {
  switch (kind) {
    case DaemonKind::registry: return judge_registry(status, body);
    case DaemonKind::router: return judge_router(status, detail);
    case DaemonKind::service: return judge_service(status, body, detail);
  }
  return {};
}

}  // namespace svc::ctl
