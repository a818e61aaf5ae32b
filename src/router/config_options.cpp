// The option table of the router: names, bounds and the sentences of --help.
#include "router/config.hpp"

namespace svc::router {
namespace {

using namespace std::chrono_literals;

constexpr TextLimits kPath{0, 4096};
constexpr Duration kDay = 24h;
constexpr std::int64_t kManyBytes = std::int64_t{1} << 40;

void add_listening(OptionTable& table, RouterSettings& c) {
  table.integer("port", c.port, 0, 65535, "TCP port to listen on; 0 = any free one")
      .alias("port", "--router-port", "")
      .text("host", c.host, {1, 64}, "address to listen on (0.0.0.0 = all IPv4, :: = all)")
      .text("port_file", c.port_file, kPath, "file to write the port to once it is open, for scripts that use port 0")
      .integer("threads", c.threads, 0, 1024, "data threads; 0 = one for each core that this process may use")
      .text("tls_cert", c.tls.cert, kPath, "PEM certificate chain; makes the router speak HTTPS (reloaded on SIGHUP)")
      .text("tls_key", c.tls.key, kPath, "PEM private key of tls_cert")
      .text("tls_ca", c.tls.ca, kPath,
            "PEM bundle that https instances and the registry are checked against; empty = the system's");
}

void add_discovery(OptionTable& table, RouterSettings& c) {
  table
      .text("registry_url", c.registry_url, {0, 8192},
            "registry to follow, with or without a trailing /services; empty = none")
      .text("registry_token_file", c.registry_token_file, kPath, "file with the bearer token for the registry")
      .duration("registry_sync_interval", c.registry_sync_interval, 100ms, 1h,
                "time between two lists of the registry; also the longest wait for a change, where it can be watched")
      .duration("service_removal_grace_period", c.service_removal_grace_period, 0s, kDay,
                "a service that a list of healthy ones no longer has is kept for this long")
      .text("state_dir", c.state_dir, kPath, "folder that the last view of the registry is kept in; empty = nowhere")
      .text("static_services", c.static_services, kPath,
            "JSON file with services that are always there; the configuration file's own come besides")
      .flag("learn_models", c.learn_models, "ask instances for their models when their record states none")
      .flag("report_stalled", c.report_stalled,
            "prefix_aware: tell the registry that an instance is unhealthy when its answers make no progress")
      .text_list("allow_networks", c.allow_networks, "networks (CIDR) that instances must be in; none = all")
      .flag("allow_link_local", c.allow_link_local, "let instances have link-local addresses");
}

void add_balancing(OptionTable& table, RouterSettings& c) {
  table
      .choice("load_balancing_method", c.load_balancing_method,
              {"round_robin", "weighted", "least_connections", "least_conn", "ip_hash", "random", "session",
               "prefix_aware"},
              "how an instance is chosen; the file's `models` may name others for single models")
      .text_map("model_aliases", c.model_aliases,
                "names of models that clients may use, each with the one it stands for")
      .number("panic_threshold", c.panic_threshold, 0.0, 1.0,
              "below this usable share of a model's instances ejected ones are used as well; 0 = never")
      .duration("slow_start", c.slow_start, 0s, 1h, "an instance that comes back gets its full share after this")
      .number("load_bound", c.load_bound, 1.01, 100.0,
              "ip_hash and session: most load of an instance, as a multiple of the mean")
      .integer("cache_type_routing_threshold", c.cache_type_routing_threshold, 0, kManyBytes,
               "bytes of message text above which instances with cache_type static are preferred; 0 = off")
      .alias("cache_type_routing_threshold", "", "CACHE_TYPE_ROUTING_THRESHOLD")
      .flag("hold", c.prefix.hold, "prefix_aware: a request waits while its best instance has enough to do")
      .number("hold_prefill_seconds", c.prefix.hold_prefill_seconds, 0.01, 3600.0,
              "prefill outstanding at an instance, in seconds, from which on `hold` keeps requests back")
      .number("aging", c.prefix.aging, 0.0, 10.0,
              "seconds of prefill that a second of waiting is worth in the order of held requests")
      .integer("block_bytes", c.prefix.block_bytes, 16, 65536,
               "prefix_aware: bytes of prompt text for each block that is remembered")
      .integer("prefix_index_max_bytes", c.prefix.index_max_bytes, 1 << 20, kManyBytes,
               "prefix_aware: memory for what instances have in their caches, in all")
      .integer("kv_cache_tokens", c.prefix.kv_cache_tokens, 1, 1'000'000'000'000,
               "prefix_aware: tokens in the cache of an instance that states none")
      .text("session_header", c.session_header, {0, 256}, "request field that names a session; empty = none")
      .text_list("trusted_proxies", c.trusted_proxies,
                 "networks (CIDR) whose X-Forwarded-For is believed; none = nobody's")
      .integer("unknown_model_status", c.unknown_model_status, 404, 503,
               "answer for a model that no instance serves: 404 or 503");
}

void add_health(OptionTable& table, RouterSettings& c) {
  table
      .duration("health_interval", c.health_interval, 0s, kDay,
                "time between two probes of an instance; 0 = one when it is found, none after")
      .duration("health_timeout", c.health_timeout, 10ms, 1h, "a probe must have answered within this")
      .integer("max_errors", c.max_errors, 1, 1'000'000, "failed probes in a row that take an instance out")
      .integer("healthy_after", c.healthy_after, 1, 1'000'000, "good probes in a row that bring it back")
      .text("health_path", c.health_path, {1, 1024}, "path of a probe")
      .duration("recovery_interval", c.recovery_interval, 10ms, 1h,
                "time between two probes of an instance that is out")
      .duration("hung_silence", c.hung_silence, 10ms, 1h,
                "requests wait and an instance has sent nothing for this long: it is probed at once")
      .duration("hung_timeout", c.hung_timeout, 0s, 1h,
                "such a probe must have answered within this; after two in vain the instance is hung; 0 = off")
      .duration("refused_first", c.outlier.refused_first, 10ms, kDay,
                "an instance that refuses a connection is out for this long; doubles each time")
      .duration("refused_most", c.outlier.refused_most, 10ms, kDay, "longest time out after refused connections");
}

void add_proxying(OptionTable& table, RouterSettings& c) {
  table.duration("proxy_timeout", c.proxy_timeout, 100ms, kDay, "longest silence of an instance that is to answer")
      .alias("proxy_timeout", "", "PROXY_TIMEOUT_SECONDS")
      .duration("proxy_first_byte_timeout", c.proxy_first_byte_timeout, 0s, kDay,
                "an answer must have begun within this; 0 = within proxy_timeout")
      .duration("proxy_connect_timeout", c.proxy_connect_timeout, 10ms, 1h,
                "a connection to an instance must be open within this")
      .duration("proxy_total_timeout", c.proxy_total_timeout, 0s, kDay,
                "longest time of a request as a whole, streams included; 0 = no limit")
      .integer("max_body_bytes", c.max_body_bytes, 1024, kManyBytes, "largest request body; more is answered 413")
      .integer("max_buffered_bytes", c.max_buffered_bytes, 1024, kManyBytes, "request bodies in memory, all together")
      .integer("retry_max", c.retry.max_retries, 0, 100, "further attempts of a request that failed")
      .flag("retry_post", c.retry.resend_post, "send a POST again elsewhere when its instance died before answering")
      .flag("retry_on_503", c.retry.on_503, "try elsewhere when an instance answers 503")
      .flag("retry_on_hung", c.retry.on_hung, "take waiting requests back from an instance that is hung")
      .number("retry_budget_share", c.retry.budget_share, 0.0, 1.0, "most retries, as a share of requests")
      .integer("retry_budget_minimum", c.retry.budget_minimum, 0, 1'000'000, "retries a second that are always allowed")
      .duration("upstream_idle_timeout", c.upstream_idle_timeout, 0s, 1h,
                "an unused connection to an instance is closed after this")
      .integer("upstream_idle_connections", c.upstream_idle_connections, 0, 65536,
               "unused connections kept for each instance and thread")
      .flag("inspect_bodies", c.inspect_bodies, "read the model and session out of request bodies");
}

void add_clients(OptionTable& table, RouterSettings& c) {
  table.integer("max_header_bytes", c.header_bytes, 1024, 1024 * 1024, "largest request head; more is answered 431")
      .duration("header_timeout", c.header_timeout, 100ms, 1h, "a request head must be complete within this (408)")
      .duration("idle_timeout", c.idle_timeout, 1s, kDay, "a connection without a request is closed after this")
      .duration("body_timeout", c.body_timeout, 100ms, kDay, "longest wait for the next piece of a request body (408)")
      .duration("write_timeout", c.write_timeout, 100ms, kDay, "a client that takes nothing for this long is cut off")
      .integer("max_connections", c.max_connections, 1, 10'000'000, "open client connections; more are answered 503")
      .integer("max_connections_per_client", c.max_connections_per_client, 0, 10'000'000,
               "open connections of one address; more are answered 429; 0 = no limit")
      .integer("max_concurrency", c.max_concurrency, 0, 1'000'000,
               "requests at a time for an instance that states no limit; 0 = no limit")
      .flag("honour_stated_concurrency", c.honour_stated_concurrency,
            "metadata.max_concurrency or max_batch_size of an instance is its limit")
      .integer("queue_size", c.queue.max_waiting, 0, 1'000'000,
               "requests of one model that may wait for a free instance; 0 = none waits")
      .duration("queue_timeout", c.queue_timeout, 0s, kDay,
                "longest wait for a free instance (503); 0 = 30 s, and with hold as long as proxy_timeout");
}

void add_security_and_logs(OptionTable& table, RouterSettings& c) {
  table.text("api_keys_file", c.api_keys_file, kPath, "JSON file with the keys that clients must show; empty = none")
      .text("upstream_token_file", c.upstream_token_file, kPath, "file with the bearer token for the instances")
      .flag("upstream_tls_verify", c.upstream_tls_verify, "check the certificates of https instances")
      .choice("access_log", c.access_log, {"text", "json", "off"}, "form of the line that each request gets in the log")
      .number("access_log_sample", c.access_log_sample, 0.0, 1.0,
              "share of the requests that are logged; failed ones always")
      .flag("access_log_prefixes", c.access_log_prefixes,
            "log hashes of the beginning of each prompt and of its session, for `infinilm-bench replay`")
      .flag("expose_route", c.expose_route, "add X-Router-Upstream and X-Router-Attempts to answers")
      .duration("drain_timeout", c.drain_timeout, 0s, kDay, "on SIGTERM open requests get this long to finish");
}

}  // namespace

CliSpec router_cli() {
  return {
      "infinilm-router",
      "The one address for clients: discovers instances, picks one for each request, relays streams, and goes round "
      "failures.",
      "router",
      "INFINILM_ROUTER",
      {"static_services", "services", "models", "servers"}};
}

OptionTable router_options(RouterSettings& settings) {
  OptionTable table("router", "INFINILM_ROUTER");
  settings.log.file = "logs/distributed_router.log";
  settings.log.background = true;  // a disk that hangs must not hold up requests
  add_listening(table, settings);
  add_discovery(table, settings);
  add_balancing(table, settings);
  add_health(table, settings);
  add_proxying(table, settings);
  add_clients(table, settings);
  add_security_and_logs(table, settings);
  add_log_options(table, settings.log);
  return table;
}

}  // namespace svc::router
