// --dry-run: the settings as what they lead to.
#include "agent/config.hpp"
#include "agent/core/command_line.hpp"
#include "agent/core/registration.hpp"
#include "common/core/endpoint.hpp"
#include "common/core/words.hpp"

namespace svc::agent {
namespace {

constexpr std::string_view kStartTime = "(the time of the start)";

void line(std::string& out, std::string_view what, std::string_view value) {
  out.append("  ").append(what).append(": ").append(value).append("\n");
}

void add_commands(std::string& out, const ServiceSettings& service) {
  const auto ranks = command_lines(service);
  if (!ranks) return;
  for (std::size_t rank = 0; rank < ranks->size(); ++rank) {
    const RankCommand& command = (*ranks)[rank];
    const std::string which = ranks->size() == 1 ? "" : " of rank " + std::to_string(rank);
    line(out, "command" + which, printable(command.argv));
    for (const auto& [name, value] : command.env) line(out, "environment" + which, name + "=" + quoted_word(value));
    if (!command.work_dir.empty()) line(out, "folder" + which, command.work_dir);
  }
  for (const std::string& name : unused_settings(service)) {
    line(out, "unused", name + " (" + service.service_type + " has no use for it)");
  }
}

void add_registrations(std::string& out, const ServiceSettings& service) {
  if (service.registry_url.empty()) return line(out, "registered", "nowhere");
  InstanceFacts facts;
  facts.status = "running";
  facts.started_at = kStartTime;
  facts.engine_port = service.port;
  ModelList models;
  models.ids = service.models;
  const std::string url = "POST " + service.registry_url + "/services ";
  line(out, "registered", url + agent_registration(service, facts));
  line(out, "registered", url + engine_registration(service, facts, models));
}

void add_service(std::string& out, const ServiceSettings& service) {
  const std::string engine = "http://" + Endpoint{service.host, service.port}.to_string();
  out.append("service ").append(service.name).append(" (").append(service.service_type).append(")\n");
  add_commands(out, service);
  line(out, "ready", engine + "/v1/models, " + engine + "/models");
  line(out, "alive", service.probe_failures == 0 ? "not watched" : engine + service.health_path);
  line(out, "pages", pages_url(service) + "/health");
  line(out, "log", service.log_file);
  add_registrations(out, service);
}

}  // namespace

std::string dry_run_text(const AgentSettings& settings) {
  std::string out;
  for (const ServiceSettings& service : settings.all) add_service(out, service);
  return out;
}

DaemonDefinition agent_configuration() {
  DaemonDefinition definition;
  definition.cli = agent_cli();
  definition.make_config = [] { return std::make_unique<AgentConfig>(); };
  definition.print_instead = [](const DaemonConfig& config) -> std::optional<std::string> {
    const AgentSettings& settings = static_cast<const AgentConfig&>(config).settings();
    return settings.dry_run ? std::make_optional(dry_run_text(settings)) : std::nullopt;
  };
  return definition;
}

}  // namespace svc::agent
