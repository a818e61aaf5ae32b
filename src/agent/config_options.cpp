// The option tables of the agent: names, bounds and the sentences of --help.
#include "agent/config.hpp"
#include "agent/finish_service.hpp"
#include "common/core/wire/registry_api.hpp"

namespace svc::agent {
namespace {

using namespace std::chrono_literals;

constexpr TextLimits kPath{0, 4096};
constexpr Duration kDay = 24h;
constexpr Duration kWeek = 24h * 7;
constexpr std::int64_t kMany = 1'000'000'000;

void add_identity(OptionTable& table, ServiceSettings& s) {
  table
      .integer("port", s.port, 0, 65535, "port of the engine; the agent's own pages are on the next one; 0 = not given")
      .alias("port", "-p", "")
      .text("name", s.name, {0, 246}, "name in the registry; empty = the service type and the port: vllm-5001")
      .alias("name", "-n", "")
      .text("host", s.host, {1, wire::kMaxHostBytes},
            "what is registered; with --services, which entries are this host's")
      .text("registry_url", s.registry_url, {0, 8192},
            "registry to register in, with or without a trailing /services; empty = none")
      .alias("registry_url", "--registry", "");
}

void add_engine(OptionTable& table, ServiceSettings& s) {
  table
      .text("service_type", s.service_type, {0, 64},
            "kind of engine: command, infinilm, infinilm-rust, vllm, sglang, llama-cpp or sim (mock); empty = infinilm "
            "with a path alone (infinilm-rust if that is a TOML), else command")
      .text("path", s.path, kPath, "the model; of infinilm-rust the engine's TOML")
      .alias("path", "--model-path", "")
      .text("command", s.command, kPath, "program, perhaps with first arguments; empty = the kind's own")
      .word_list("args", s.args, "further arguments, each whole")
      .text("work_dir", s.work_dir, kPath, "folder to run the engine in; empty = the agent's")
      .environment("env", s.env, "variables for the engine, besides the agent's own: A=1,B=2")
      .text("launch_script", s.launch_script, kPath, "infinilm: the script; empty = the installed inference_server")
      .choice("flags", s.flags, {"current", "legacy"}, "infinilm: generation of the script's flags")
      .text("device", s.device, {0, 64}, "infinilm: kind of device; empty = the engine's default")
      .alias("device", "--dev", "")
      .integer("tp", s.tp, 0, 65536, "devices that the instance spans; 0 = the engine's default")
      .alias("tp", "--ndev", "")
      .integer("pp", s.pp, 1, 1024, "processes that the instance consists of (vllm: stages inside its one process)")
      .text("master_addr", s.master_addr, {1, wire::kMaxHostBytes}, "infinilm: where the processes meet")
      .integer("master_port", s.master_port, 0, 65535, "infinilm: port of it; 0 = the engine's port + 10000")
      .integer("max_batch", s.max_batch, 0, kMany, "infinilm: requests in a batch; 0 = the engine's default")
      .integer("max_tokens", s.max_tokens, 0, kMany, "infinilm: tokens of an answer; 0 = the engine's default")
      .integer("request_timeout", s.request_timeout_s, 0, kMany,
               "infinilm, legacy flags: seconds of a request; 0 = the engine's default")
      .integer("max_concurrency", s.max_concurrency, 0, 1'000'000,
               "requests at a time that routers are told, in metadata.max_concurrency; 0 = not stated")
      .flag("paged_attention", s.paged_attention, "infinilm: the paged cache")
      .flag("awq", s.awq, "infinilm, legacy flags: the model is quantised")
      .text_list("models", s.models, "sim: the models that it serves")
      .text("engine_api_key_file", s.engine_api_key_file, kPath,
            "file with the API key that the engine asks for; empty = it asks for none");
}

void add_liveness(OptionTable& table, ServiceSettings& s) {
  table.duration("startup_timeout", s.startup_timeout, 100ms, kWeek, "the engine must be ready within this")
      .duration("probe_interval", s.probe_interval, 10ms, 1h, "time between two looks at the ready engine's health")
      .duration("probe_timeout", s.probe_timeout, 10ms, 1h, "such a look must be answered within this")
      .integer("probe_failures", s.probe_failures, 0, 1'000'000,
               "failed looks in a row that mean that the engine hangs; 0 = it is not looked at")
      .text("health_path", s.health_path, {1, 1024}, "path of the look; an engine that answers 404 is alive")
      .duration("completion_probe_interval", s.completion_probe_interval, 0s, kDay,
                "time between two completions of one token that try the engine; 0 = none")
      .duration("completion_probe_timeout", s.completion_probe_timeout, 10ms, 1h,
                "such a completion must be there within this");
}

void add_restart(OptionTable& table, ServiceSettings& s) {
  table.integer("max_restarts", s.max_restarts, 0, kMany, "restarts in all, then the service has failed")
      .duration("restart_delay", s.restart_delay, 0s, kDay, "wait before each restart; 0 = the growing one below")
      .duration("restart_backoff_first", s.restart_backoff_first, 1ms, kDay,
                "longest wait before the first restart; doubles with each failure")
      .duration("restart_backoff_max", s.restart_backoff_max, 1ms, kDay, "longest wait of all")
      .duration("healthy_after", s.healthy_after, 0s, kDay, "ready for this long: earlier failures are forgotten")
      .integer("start_limit", s.start_limit, 0, 1'000'000,
               "failures within start_limit_interval, then the service has failed; 0 = no limit")
      .duration("start_limit_interval", s.start_limit_interval, 1s, kWeek, "see start_limit")
      .duration("stop_grace", s.stop_grace, 0s, 1h, "time between SIGTERM and SIGKILL")
      .duration("drain_timeout", s.drain_timeout, 0s, kDay, "open requests get this long before SIGTERM");
}

void add_registration(OptionTable& table, ServiceSettings& s) {
  table.duration("heartbeat_interval", s.heartbeat_interval, 100ms, 1h, "time between two heartbeats")
      .integer("weight", s.weight, -1, wire::kMaxWeight, "share of requests that routers give it; -1 = not stated")
      .integer("max_fails", s.max_fails, -1, wire::kMaxMaxFails, "failures until others stop using it; -1 = not stated")
      .duration("fail_timeout", s.fail_timeout, 0s, kDay, "how long they then do; 0 = not stated")
      .flag("backup", s.backup, "routers use it only when no other instance can")
      .text("engine_log_file", s.log_file, kPath,
            "file for the engine's output; {name} is the service's name; empty = logs/{name}.log");
}

void add_agent(OptionTable& table, AgentSettings& c) {
  table
      .text("services", c.services, kPath,
            "JSON file with the services of this host (or of all): each is started with a supervisor of its own")
      .text_list("only", c.only, "of the services file only these names; each may have an agent of its own")
      .text("bind", c.bind, {1, 64}, "address of the agent's own pages (0.0.0.0 = all IPv4, :: = all)")
      .text("state_dir", c.state_dir, {1, 4096}, "folder for what the next agent must know of running engines")
      .choice("on_agent_death", c.on_agent_death, {"stop", "keep"},
              "what becomes of engines when the agent is killed: stopped, or kept for the next agent")
      .flag("exit_on_failed", c.exit_on_failed, "end with exit code 1 when every service has failed for good")
      .flag("compat_health", c.compat_health, "/health says 200 always, as the earlier agents'")
      .flag("dry_run", c.dry_run, "print the commands, environments and registrations, and exit")
      .text("token_file", c.token_file, kPath, "bearer tokens for the pages, one `TOKEN read|write` a line")
      .text("registry_token_file", c.registry_token_file, kPath, "file with the bearer token for the registry")
      .text("port_file", c.port_file, kPath, "file to write the port of the pages to once it is open")
      .text("router_url", c.router_url, {0, 8192}, "a router; taken for the earlier agents' sake, and not used")
      .alias("router_url", "--router", "")
      .integer("engine_log_max_bytes", c.engine_log_max_bytes, 0, 1'000'000'000'000,
               "size at which an engine's log file is rotated; 0 = never")
      .integer("engine_log_max_files", c.engine_log_max_files, 0, 1000, "rotated engine log files that are kept")
      .duration("engine_log_max_age", c.engine_log_max_age, 0s, kWeek * 52,
                "age at which an engine's log file is rotated; 0 = any")
      .text("tls_cert", c.tls.cert, kPath, "PEM certificate chain; makes the pages HTTPS")
      .text("tls_key", c.tls.key, kPath, "PEM private key of tls_cert")
      .text("tls_ca", c.tls.ca, kPath, "PEM bundle that an https registry is checked against; empty = the system's");
}

}  // namespace

void add_service_options(OptionTable& table, ServiceSettings& settings) {
  add_identity(table, settings);
  add_engine(table, settings);
  add_liveness(table, settings);
  add_restart(table, settings);
  add_registration(table, settings);
}

OptionTable agent_options(AgentSettings& settings) {
  OptionTable table("agent", "INFINILM_AGENT");
  settings.service = unstated_service();
  settings.log.file = "logs/{name}.agent.log";
  add_service_options(table, settings.service);
  add_agent(table, settings);
  add_http_options(table, settings.http);
  add_log_options(table, settings.log);
  return table;
}

}  // namespace svc::agent
