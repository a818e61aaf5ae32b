#include "registry/config.hpp"

#include <nlohmann/json.hpp>

namespace svc::registry {
namespace {

using namespace std::chrono_literals;

constexpr TextLimits kPath{0, 4096};
constexpr Duration kForever = 24h * 365;

void add_listening(OptionTable& table, RegistrySettings& c) {
  table.integer("port", c.port, 0, 65535, "TCP port to listen on; 0 = any free one")
      .text("host", c.host, {1, 64}, "address to listen on (0.0.0.0 = all IPv4, :: = all)")
      .text("port_file", c.port_file, kPath, "file to write the port to once it is open, for scripts that use port 0")
      .text("tls_cert", c.tls.cert, kPath, "PEM certificate chain; makes the registry speak HTTPS (reloaded on SIGHUP)")
      .text("tls_key", c.tls.key, kPath, "PEM private key of tls_cert")
      .text("tls_ca", c.tls.ca, kPath,
            "PEM bundle: with tls_cert clients must show a certificate of it; probes of https services are checked "
            "against it");
}

void add_liveness(OptionTable& table, RegistrySettings& c) {
  table.duration("health_interval", c.health_interval, 0s, 24h, "time between two probes of a service; 0 = no probes")
      .duration("health_timeout", c.health_timeout, 10ms, 1h, "a probe must have answered within this")
      .duration("cleanup_interval", c.cleanup_interval, 100ms, 24h, "time between two sweeps for stale services")
      .duration("heartbeat_timeout", c.heartbeat_timeout, 1s, kForever,
                "lease: a service is alive for this long after a heartbeat, unless it names its own heartbeat_interval")
      .duration("remove_after", c.remove_after, 1s, kForever, "a service is removed this long after its last heartbeat")
      .integer("unhealthy_after", c.unhealthy_after, 0, 1'000'000,
               "failed probes in a row that make a service unhealthy, unless it brings its own max_fails; 0 = never")
      .integer("healthy_after", c.healthy_after, 1, 1'000'000, "good probes in a row that make it healthy again")
      .integer("probe_concurrency", c.probe_concurrency, 1, 4096, "probes at the same time")
      .number("max_removal_share", c.max_removal_share, 0.0001, 1.0,
              "largest share of the fleet that one sweep removes (at least one service)")
      .duration("removal_hold_limit", c.removal_hold_limit, 1s, kForever,
                "after a mass expiry removal waits for heartbeats, but no longer than this")
      .duration("warming_time", c.warming_time, 0s, 24h,
                "after a start with an empty store answers say \"warming\" for this long; 0 = never");
}

void add_registrations(OptionTable& table, RegistrySettings& c) {
  table.text("state_db", c.state_db, {1, 4096}, "SQLite file that registrations survive in; :memory: = none")
      .integer("max_services", c.max_services, 1, 10'000'000, "registrations; new names beyond it are answered 429")
      .integer("max_metadata_total_bytes", c.max_metadata_total_bytes, 64 * 1024, 64L * 1024 * 1024 * 1024,
               "metadata and models of all services together; more is answered 429")
      .integer("max_body_bytes", c.max_body_bytes, 1024, 64 * 1024 * 1024, "largest request body; more is answered 413")
      .choice("on_name_conflict", c.on_name_conflict, {"accept", "reject"},
              "a live name is registered from another address: accept (and warn), or reject with 409")
      .flag("strict_servers", c.strict_servers, "only names and hosts of the file's `servers` may register")
      .text("token_file", c.token_file, kPath, "bearer tokens, one `TOKEN read|write` a line (reloaded on SIGHUP)")
      .text_list("allow_networks", c.allow_networks, "networks (CIDR) that registered hosts must be in; none = all")
      .flag("allow_link_local", c.allow_link_local, "let link-local addresses register and be probed");
}

}  // namespace

RegistryConfig::RegistryConfig() : options_("registry", "INFINILM_REGISTRY") {
  settings_.log.file = "logs/registry.log";
  settings_.log.background = true;  // a disk that hangs must not keep heartbeats back
  add_listening(options_, settings_);
  add_liveness(options_, settings_);
  add_registrations(options_, settings_);
  options_.duration("drain_timeout", settings_.drain_timeout, 0s, 1h,
                    "on SIGTERM open requests get this long to finish");
  add_http_options(options_, settings_.http);
  add_log_options(options_, settings_.log);
}

Result<void> RegistryConfig::read_extra(const nlohmann::json& file) {
  auto read = read_server_roster(file);
  if (!read) {
    return read.error();
  }
  settings_.roster = *std::move(read);
  return {};
}

Result<void> RegistryConfig::validate() {
  auto& c = settings_;
  c.address_policy = {};
  c.address_policy.refuse_link_local = !c.allow_link_local;
  for (const auto& text : c.allow_networks) {
    auto network = Cidr::parse(text);
    if (!network) {
      return wrap("allow_networks", network.error());
    }
    c.address_policy.allow.push_back(*network);
  }
  if (c.remove_after < c.heartbeat_timeout) {
    return invalid(
        "remove_after must not be shorter than heartbeat_timeout: a service would be removed while its lease lives");
  }
  if (c.strict_servers && c.roster.empty()) {
    return invalid("strict_servers needs a `servers` list in the configuration file, else nothing could register");
  }
  if (c.tls.cert.empty() != c.tls.key.empty()) {
    return invalid("tls_cert and tls_key go together");
  }
  return {};
}

StateSettings RegistrySettings::state_settings() const {
  StateSettings settings;
  settings.heartbeat_timeout = heartbeat_timeout;
  settings.remove_after = remove_after;
  settings.health = {unhealthy_after, healthy_after, health_interval > Duration::zero()};
  settings.removal = {max_removal_share, cleanup_interval, removal_hold_limit};
  settings.on_name_conflict = on_name_conflict == "reject" ? NameConflictPolicy::reject : NameConflictPolicy::accept;
  settings.max_services = max_services;
  settings.max_metadata_total_bytes = max_metadata_total_bytes;
  return settings;
}

}  // namespace svc::registry
