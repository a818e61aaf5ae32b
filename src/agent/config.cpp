#include "agent/config.hpp"

#include <algorithm>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>

#include "agent/core/command_line.hpp"
#include "agent/core/settings_document.hpp"
#include "agent/finish_service.hpp"
#include "common/core/http_url.hpp"
#include "common/core/ip_address.hpp"

namespace svc::agent {
namespace {

using nlohmann::json;

/// For the calls to the registry and the look at what is left.
constexpr Duration kRoom = std::chrono::seconds(10);

Result<void> adapt(json& file, const std::string& path, OptionTable::KeyPlaces& places) {
  std::error_code ignored;
  const std::string whole = std::filesystem::absolute(path, ignored).string();
  return to_agent_sections(file, whole.empty() ? path : whole, places);
}

/// What two services must not share besides the ports of their engines.
Result<void> check_together(const std::vector<ServiceSettings>& all) {
  std::map<std::string, const ServiceSettings*> taken;
  const auto take = [&taken](const std::string& thing, const ServiceSettings& by) -> Result<void> {
    const auto [place, free] = taken.emplace(thing, &by);
    if (free) return {};
    return invalid("services '" + place->second->name + "' and '" + by.name + "' both use " + thing);
  };
  for (const ServiceSettings& service : all) {
    if (auto done = take("the log file " + service.log_file, service); !done) return done;
    if (service.pp <= 1) continue;
    if (auto done = take("the rendezvous port " + std::to_string(rendezvous_port(service)), service); !done) {
      return done;
    }
  }
  return {};
}

}  // namespace

Duration AgentSettings::whole_stop_limit() const {
  Duration longest{};
  for (const ServiceSettings& each : all) longest = std::max(longest, each.drain_timeout + each.stop_grace);
  return longest + kRoom;
}

CliSpec agent_cli() {
  return {"infinilm-agent",
          "Runs inference engines on this host: starts them, registers them when they are ready, watches them, starts "
          "them again when they die or hang, and stops them without leaving anything behind.",
          "agent",
          "INFINILM_AGENT",
          {"metadata"},
          "--config-file",
          adapt};
}

AgentConfig::AgentConfig() : options_(agent_options(settings_)) {
  settings_.log.background = true;  // a disk that hangs must not keep heartbeats back
}

Result<void> AgentConfig::read_extra(const json& file) {
  file_ = std::make_shared<const json>(file);
  return check_metadata(file);
}

Result<void> AgentConfig::check_agent() const {
  const AgentSettings& c = settings_;
  if (!IpAddress::parse(c.bind)) return invalid("bind must be an IP address, got '" + c.bind + "'");
  if (!c.only.empty() && c.services.empty()) return invalid("only needs services: it names some of that file");
  if (c.tls.cert.empty() != c.tls.key.empty()) return invalid("tls_cert and tls_key go together");
  if (!c.router_url.empty()) {
    if (const auto url = parse_http_url(c.router_url); !url) return wrap("router_url", url.error());
  }
  return {};
}

/// The earlier launcher passed --host always, and localhost, its default, did not win over the file's host.
void AgentConfig::take_host_of_file() {
  const auto& given = options_.overrides();
  const auto last = std::find_if(given.rbegin(), given.rend(), [](const auto& each) { return each.key == "host"; });
  if (last == given.rend() || last->origin != "--host" || last->text != ServiceSettings().host || !file_) return;
  const auto section = file_->find("agent");
  if (section == file_->end()) return;
  const auto host = section->find("host");
  if (host != section->end() && host->is_string()) settings_.service.host = host->get<std::string>();
}

Result<void> AgentConfig::validate() {
  AgentSettings& c = settings_;
  c.all.clear();
  if (auto checked = check_agent(); !checked) return checked;
  if (!c.services.empty()) {
    if (auto read = read_services(); !read) return read;
  } else {
    take_host_of_file();
    ServiceSettings service = c.service;
    service.metadata_json = metadata_of(file_.get());
    auto finished = finish_service(std::move(service));
    if (!finished) return finished.error();
    c.this_host = finished->host;
    c.all.push_back(*std::move(finished));
  }
  for (ServiceSettings& service : c.all) service.pages_tls = c.tls.serves();
  if (auto checked = check_together(c.all); !checked) return checked;
  const bool one_service = c.services.empty() || c.only.size() == 1;
  c.log.file = named(c.log.file, one_service ? c.all.front().name : "");
  return {};
}

}  // namespace svc::agent
