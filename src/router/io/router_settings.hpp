// The values of infinilm-router's settings. Which option each comes from, and its bounds: router/config.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/core/address_policy.hpp"
#include "common/core/ip_address.hpp"
#include "common/core/option_table.hpp"
#include "common/io/log.hpp"
#include "common/io/tls.hpp"
#include "router/core/outlier.hpp"
#include "router/core/retry_policy.hpp"
#include "router/core/routing_table.hpp"
#include "router/core/upstream.hpp"
#include "router/io/wait_queues.hpp"

namespace svc::router {

/// The values. Plain and copyable.
struct RouterSettings {
  // Listening.
  std::string host = "0.0.0.0";
  std::uint16_t port = 8080;
  std::string port_file;
  std::size_t threads = 0;  ///< 0 = the cores that this process may use
  TlsFiles tls;             ///< in front; `ca` also checks upstreams and the registry

  // Discovery.
  std::string registry_url;  ///< with or without a trailing /services; "" = none
  std::string registry_token_file;
  Duration registry_sync_interval{std::chrono::seconds(10)};
  Duration service_removal_grace_period{std::chrono::seconds(60)};
  std::string state_dir = "data";  ///< the last view is kept here; "" = nowhere
  std::string static_services;     ///< file; the configuration's own `static_services` comes besides
  bool report_stalled = true;      ///< tell the registry of instances whose answers make no progress
  bool learn_models = true;        ///< ask instances whose record states no models
  std::vector<std::string> allow_networks;
  bool allow_link_local = false;

  // Balancing.
  std::string load_balancing_method = "round_robin";
  OptionTable::TextMap
      model_aliases;  ///< asked for -> served, as configured; `balancing` has them with chains followed
  double panic_threshold = 0.5;
  Duration slow_start{std::chrono::seconds(30)};
  double load_bound = 1.25;
  std::uint64_t cache_type_routing_threshold = 51'200;  ///< bytes of message text; 0 = off
  PrefixSettings prefix;
  std::string session_header = "X-Session-Id";
  std::vector<std::string> trusted_proxies;
  std::uint16_t unknown_model_status = 404;  ///< or 503, as the original

  // Health.
  Duration health_interval{std::chrono::seconds(30)};
  Duration health_timeout{std::chrono::seconds(5)};
  std::int64_t max_errors = 3;  ///< failed probes in a row that make an instance unhealthy
  std::int64_t healthy_after = 1;
  std::string health_path = "/health";
  Duration recovery_interval{std::chrono::milliseconds(500)};  ///< between probes of an instance that is out
  Duration hung_silence{
      std::chrono::milliseconds(500)};             ///< requests wait and nothing came for this long: probe at once
  Duration hung_timeout{std::chrono::seconds(1)};  ///< of such a probe; two in vain: hung. 0 = off
  OutlierSettings outlier;

  // Proxying.
  Duration proxy_timeout{std::chrono::seconds(300)};  ///< longest silence of an upstream
  Duration proxy_first_byte_timeout{};  ///< longest silence before its answer begins; 0 = as proxy_timeout
  Duration proxy_connect_timeout{std::chrono::seconds(5)};
  Duration proxy_total_timeout{};  ///< 0 = off
  std::size_t max_body_bytes = 64U << 20U;
  std::size_t max_buffered_bytes = 1U << 30U;  ///< request bodies in memory, in all
  RetrySettings retry;
  Duration upstream_idle_timeout{std::chrono::seconds(30)};
  std::size_t upstream_idle_connections = 128;  ///< kept for each upstream and thread
  bool inspect_bodies = true;                   ///< false: no model routing, bodies are relayed unread

  // Limits towards clients.
  std::size_t header_bytes = 32 * 1024;
  Duration header_timeout{std::chrono::seconds(10)};
  Duration idle_timeout{std::chrono::seconds(75)};
  Duration body_timeout{std::chrono::seconds(30)};    ///< between two pieces of a request body
  Duration write_timeout{std::chrono::seconds(300)};  ///< a client that takes nothing for this long is cut
  std::size_t max_connections = 65'536;
  std::size_t max_connections_per_client = 0;  ///< 0 = no limit

  // Admission.
  std::uint32_t max_concurrency = 0;       ///< of each upstream that states none; 0 = no limit
  bool honour_stated_concurrency = false;  ///< metadata.max_concurrency / max_batch_size are limits too
  QueueSettings queue;                     ///< its max_wait is made of the next
  Duration queue_timeout{};                ///< 0 = 30 s; with `hold` proxy_timeout

  // Security.
  std::string api_keys_file;
  std::string upstream_token_file;  ///< bearer token for the instances
  bool upstream_tls_verify = true;

  // Observability.
  std::string access_log = "text";  ///< "text", "json", "off"
  double access_log_sample = 1.0;
  bool access_log_prefixes = false;  ///< with the hashes of prompts' beginnings, for replays
  bool expose_route = false;
  LogSettings log;

  Duration drain_timeout{std::chrono::seconds(30)};

  // Filled by read_extra() and validate(). registry_url is then without a trailing '/' and '/services'.
  std::vector<UpstreamSpec> static_upstreams;  ///< of both sources
  BalancingSettings balancing;
  AddressPolicy address_policy;
  std::vector<Cidr> trusted;
};

}  // namespace svc::router
