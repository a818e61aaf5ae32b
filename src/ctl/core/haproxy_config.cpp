// HAProxy, from 2.6 on.
#include <algorithm>
#include <set>

#include "common/core/ip_address.hpp"
#include "ctl/core/proxy_plan.hpp"

namespace svc::ctl {
namespace {

using std::chrono::milliseconds;

std::string haproxy_time(Duration time) {
  const auto whole = std::max<std::int64_t>(1, std::chrono::ceil<milliseconds>(time).count());
  return whole % 1000 == 0 ? std::to_string(whole / 1000) + "s" : std::to_string(whole) + "ms";
}

std::string bind_text(const ProxySettings& settings) {
  if (settings.host == "0.0.0.0") return ":" + std::to_string(settings.port);
  if (settings.host == "::") return "[::]:" + std::to_string(settings.port) + " v4v6";
  return Endpoint{settings.host, settings.port}.to_string();
}

Result<std::string> bind_line(const ProxySettings& settings) {
  std::string line = "  bind " + bind_text(settings);
  if (settings.tls_cert.empty()) return line + "\n";
  if (settings.tls_cert != settings.tls_key) {
    return invalid(
        "HAProxy wants certificate and key in one file: put both into one, and name that for tls_cert and tls_key");
  }
  const auto file = quoted_path(settings.tls_cert);
  if (!file) return file.error();
  return line + " ssl crt " + *file + " ssl-min-ver TLSv1.2\n";
}

std::string balance_lines(const ProxyPlan& plan, const ProxySettings& settings) {
  switch (plan.method) {
    case ProxyMethod::round_robin: return "  balance roundrobin\n";
    case ProxyMethod::least_connections: return "  balance leastconn\n";
    case ProxyMethod::random: return "  balance random\n";
    case ProxyMethod::session:
      if (plain_field_name(settings.session_header)) {
        return "  balance hdr(" + settings.session_header + ")\n  hash-type consistent\n";
      }
      [[fallthrough]];
    case ProxyMethod::ip_hash: return "  balance source\n  hash-type consistent\n";
  }
  return "";
}

/// The name as HAProxy takes it; one that others have as well gets a number.
std::string server_label(const std::string& name, std::set<std::string>& taken) {
  std::string label;
  for (const char c : name) {
    const bool kept =
        (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.' || c == '_' || c == '-';
    label += kept ? c : '_';
  }
  if (label.empty()) label = "instance";
  std::string candidate = label;
  for (std::size_t number = 2; !taken.insert(candidate).second; ++number) {
    candidate = label + "_" + std::to_string(number);
  }
  return candidate;
}

Result<std::string> https_words(const ProxyUpstream& upstream, const ProxySettings& settings) {
  if (!upstream.tls) return std::string();
  const std::string& host = upstream.endpoint.host;
  // An address is no name to send (RFC 6066).
  const std::string name = IpAddress::parse(host) ? "" : " sni str(" + host + ") check-sni " + host;
  if (!settings.upstream_tls_verify) return " ssl" + name + " verify none";
  const auto ca = settings.tls_ca.empty() ? Result<std::string>("@system-ca") : quoted_path(settings.tls_ca);
  if (!ca) return ca.error();
  return " ssl" + name + " verify required verifyhost " + host + " ca-file " + *ca;
}

Result<std::string> server_lines(const ProxyPlan& plan, const ProxySettings& settings) {
  std::string out;
  std::set<std::string> taken;
  for (const auto* list : {&plan.primaries, &plan.backups}) {
    for (const ProxyUpstream& upstream : *list) {
      const auto https = https_words(upstream, settings);
      if (!https) return https.error();
      out += "  server " + server_label(upstream.name, taken) + " " + upstream.endpoint.to_string();
      out += " weight " + std::to_string(upstream.weight);
      // fail_timeout has no counterpart: a good check brings it back.
      if (upstream.max_fails > 0) {
        out += " observe layer4 error-limit " + std::to_string(upstream.max_fails) + " on-error mark-down";
      }
      out += *https + (list == &plan.backups ? " backup" : "") + "\n";
    }
  }
  return out;
}

std::string retry_lines(const ProxySettings& settings) {
  std::string out = "  retries " + std::to_string(settings.retry_max) + "\n";
  if (settings.retry_max == 0) return out;
  // What was sent is repeated only as long as it fits into a buffer (16 KiB, tune.bufsize).
  out += "  option redispatch 1\n  retry-on conn-failure empty-response";
  return out + (settings.retry_on_503 ? " 503\n" : "\n");
}

std::string defaults_section(const ProxySettings& settings) {
  std::string out = "defaults\n  mode http\n  log global\n  option httplog\n";
  out += "  option http-no-delay  # every piece of a stream is passed on when it comes\n";
  out += "  option http-keep-alive\n  http-reuse safe\n";
  out += "  timeout connect " + haproxy_time(settings.proxy_connect_timeout) + "\n";
  out += "  timeout server " + haproxy_time(settings.proxy_timeout) + "\n";
  out += "  timeout client " + haproxy_time(std::max(settings.proxy_timeout, settings.write_timeout)) + "\n";
  out += "  timeout tunnel " + haproxy_time(settings.proxy_timeout) + "\n";
  out += "  timeout http-request " + haproxy_time(settings.header_timeout) + "\n";
  out += "  timeout http-keep-alive " + haproxy_time(settings.idle_timeout) + "\n";
  return out + retry_lines(settings) + "\n";
}

Result<std::string> frontend_section(const ProxySettings& settings) {
  const auto bind = bind_line(settings);
  if (!bind) return bind.error();
  std::string out = "frontend infinilm\n" + *bind;
  out += "  # Engines have been tricked with hosts that are none.\n";
  out += "  http-request deny deny_status 400 if { req.ver 1.1 } !{ req.hdr_cnt(host) eq 1 }\n";
  out += "  http-request deny deny_status 400 if { req.hdr(host) -m reg '[^A-Za-z0-9.:\\[\\]_-]' }\n";
  out += "  http-request deny deny_status 413 if { req.hdr_val(content-length) gt " +
         std::to_string(settings.max_body_bytes) + " }\n";
  out += "  http-request return status 200 content-type text/plain string \"healthy\\n\" if { path /health }\n";
  if (!settings.retry_post) out += "  http-request disable-l7-retry if METH_POST\n";
  out += "  http-request set-header X-Forwarded-For %[src]\n";
  out += settings.tls_cert.empty() ? "  http-request set-header X-Forwarded-Proto http\n"
                                   : "  http-request set-header X-Forwarded-Proto https\n";
  return out + "  default_backend infinilm_backend\n\n";
}

Result<std::string> backend_section(const ProxyPlan& plan, const ProxySettings& settings) {
  const auto path = quoted_path(settings.health_path);
  if (!path) return invalid("health_path: " + path.error().message);
  const auto servers = server_lines(plan, settings);
  if (!servers) return servers.error();
  std::string out = "backend infinilm_backend\n" + balance_lines(plan, settings);
  if (plan.backups.size() > 1) out += "  option allbackups\n";
  out += "  option httpchk\n  http-check send meth GET uri " + *path + " ver HTTP/1.1 hdr Host localhost\n";
  out += "  # An engine without this page is alive all the same.\n";
  out += "  http-check expect status 200-299,401,403,404,405,501\n";
  out += "  default-server check inter 2s fastinter 500ms downinter 1s fall " + std::to_string(settings.max_errors) +
         " rise " + std::to_string(settings.healthy_after) + " init-addr last,libc,none";
  if (settings.slow_start >= milliseconds(1)) out += " slowstart " + haproxy_time(settings.slow_start);
  return out + "\n" + *servers;
}

}  // namespace

Result<std::string> haproxy_config(const ProxyPlan& plan, const ProxySettings& settings) {
  const auto frontend = frontend_section(settings);
  if (!frontend) return frontend.error();
  const auto backend = backend_section(plan, settings);
  if (!backend) return backend.error();
  return "global\n  log /dev/log local0 info\n\n" + defaults_section(settings) + *frontend + *backend;
}

}  // namespace svc::ctl
