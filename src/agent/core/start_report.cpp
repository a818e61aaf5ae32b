#include "agent/core/start_report.hpp"

#include <algorithm>

namespace svc::agent {
namespace {

constexpr std::size_t kMostNamed = 5;

bool in_service(const StartFacts& service) {
  return service.state == InstanceState::running && (service.registered || !service.has_registry);
}

bool is_over(const StartFacts& service) {
  if (service.registered || in_service(service)) return true;
  switch (service.state) {
    case InstanceState::failed:
    case InstanceState::stopped: return true;
    case InstanceState::running:
    case InstanceState::draining:
    case InstanceState::port_taken: return service.state_for >= StartReport::kPatience;
    case InstanceState::idle:
    case InstanceState::starting:
    case InstanceState::unhealthy:
    case InstanceState::stopping:
    case InstanceState::backing_off: return false;
  }
  return true;
}

std::string words(const StartFacts& service) {
  const bool unknown = service.state == InstanceState::running && !in_service(service);
  return service.name + ": " + std::string(to_string(service.state)) + (unknown ? ", not registered" : "");
}

}  // namespace

StartReport report_start(const std::vector<StartFacts>& services) {
  StartReport report;
  report.over = std::all_of(services.begin(), services.end(), is_over);
  const auto good = std::count_if(services.begin(), services.end(), in_service);
  report.text = std::to_string(good) + " of " + std::to_string(services.size()) +
                (services.size() == 1 ? " service" : " services") + " in service";
  std::size_t named = 0;
  for (const StartFacts& service : services) {
    if (in_service(service)) continue;
    if (++named > kMostNamed) continue;
    report.text.append("; ").append(words(service));
  }
  if (named > kMostNamed) report.text.append("; and ").append(std::to_string(named - kMostNamed)).append(" more");
  return report;
}

}  // namespace svc::agent
