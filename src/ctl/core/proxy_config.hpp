// A configuration for a proxy of another make (nginx, HAProxy) that does the router's plain work: it spreads requests
// over instances. Pure: a list of instances and settings in, text out. Names and addresses come from a registry that
// others write to, so nothing of them gets into the text that the proxy could read as anything but a name or an address.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/core/clock.hpp"
#include "common/core/endpoint.hpp"
#include "common/core/result.hpp"

namespace svc::ctl {

enum class ProxyFormat { nginx, haproxy };

/// An instance that may get requests.
struct ProxyUpstream {
  std::string name;
  Endpoint endpoint;
  bool tls = false;
  std::int64_t weight = 1;  ///< 0 = gets none
  std::int64_t max_fails = 3;
  Duration fail_timeout{std::chrono::seconds(30)};
  bool backup = false;
  std::vector<std::string> models;  ///< what it serves; empty = not known

  bool operator==(const ProxyUpstream&) const = default;
};

/// The router's settings that another proxy can follow; names are the router's.
struct ProxySettings {
  std::string source;  ///< where the instances come from, for the first line of the file
  std::string model;   ///< take those that serve it, or do not say what they serve; "" = all
  std::string host = "0.0.0.0";
  std::uint16_t port = 8080;
  std::string tls_cert, tls_key;  ///< of the port; absolute paths, "" = plain HTTP
  std::string load_balancing_method = "round_robin";
  std::string session_header = "X-Session-Id";
  Duration proxy_timeout{std::chrono::minutes(5)};
  Duration proxy_connect_timeout{std::chrono::seconds(5)};
  Duration header_timeout{std::chrono::seconds(10)};
  Duration body_timeout{std::chrono::seconds(30)};
  Duration write_timeout{std::chrono::minutes(5)};
  Duration idle_timeout{std::chrono::seconds(75)};
  Duration upstream_idle_timeout{std::chrono::seconds(30)};
  Duration slow_start{std::chrono::seconds(30)};
  std::int64_t max_body_bytes = 64 * 1024 * 1024;
  std::int64_t retry_max = 2;
  bool retry_post = true;
  bool retry_on_503 = true;
  std::string health_path = "/health";
  std::int64_t max_errors = 3;
  std::int64_t healthy_after = 1;
  std::string tls_ca;  ///< of https instances; an absolute path, "" = the system's
  bool upstream_tls_verify = true;
  bool asks_for_api_keys = false;
  bool sends_upstream_token = false;
};

struct ProxyConfig {
  std::string text;
  std::size_t instances = 0;
  std::vector<std::string> notes;  ///< what the proxy does otherwise than the router would; a sentence each
};

/// The whole configuration file. Equal input gives equal text. Errors: no instance that may get requests; what this
/// proxy cannot do at all (nginx: http and https instances side by side).
[[nodiscard]] Result<ProxyConfig> make_proxy_config(ProxyFormat format, std::vector<ProxyUpstream> upstreams,
                                                    const ProxySettings& settings);

}  // namespace svc::ctl
