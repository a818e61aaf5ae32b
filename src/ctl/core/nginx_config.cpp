// nginx, from 1.18 on; open source features alone.
#include <algorithm>
#include <cctype>

#include "ctl/core/proxy_plan.hpp"

namespace svc::ctl {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

/// A literal in the file may have 4096 bytes.
constexpr std::size_t kLiteralBytes = 3000;
/// Of shared memory: nginx 1.22 takes 1 KiB for each address of a server, and a name may have several.
constexpr std::size_t kZoneKib = 1024;
constexpr std::size_t kZoneKibEach = 4;
/// Shorter than any engine keeps an idle connection (uvicorn: 5 s), where a request on a closed one cannot be repeated.
constexpr Duration kSafeIdle = seconds(4);

std::string nginx_time(Duration time) {
  const auto whole = std::chrono::ceil<milliseconds>(time).count();
  return whole % 1000 == 0 ? std::to_string(whole / 1000) + "s" : std::to_string(whole) + "ms";
}

/// fail_timeout takes whole seconds alone.
std::string seconds_text(Duration time) {
  return std::to_string(std::max<std::int64_t>(1, std::chrono::ceil<seconds>(time).count())) + "s";
}

std::string listen_text(const ProxySettings& settings) {
  std::string port = std::to_string(settings.port);
  if (settings.host == "0.0.0.0") return port;
  if (settings.host == "::") return "[::]:" + port + " ipv6only=off";
  return Endpoint{settings.host, settings.port}.to_string();
}

/// "$http_x_session_id" of "X-Session-Id".
std::string header_variable(std::string_view field) {
  std::string name = "$http_";
  for (const char c : field) name += c == '-' ? '_' : static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return name;
}

std::string method_line(const ProxyPlan& plan, const ProxySettings& settings) {
  switch (plan.method) {
    case ProxyMethod::round_robin: return "";
    case ProxyMethod::least_connections: return "    least_conn;\n";
    case ProxyMethod::ip_hash: return "    ip_hash;\n";
    case ProxyMethod::random: return "    random two least_conn;\n";
    case ProxyMethod::session:
      return plain_field_name(settings.session_header) ? "    hash $infinilm_session consistent;\n"
                                                       : "    hash $remote_addr consistent;\n";
  }
  return "";
}

/// nginx knows `backup` with its first two methods only; with the others the backups are a group of their own.
bool backups_apart(const ProxyPlan& plan) {
  return !plan.backups.empty() && plan.method != ProxyMethod::round_robin &&
         plan.method != ProxyMethod::least_connections;
}

void append_servers(std::string& out, const std::vector<ProxyUpstream>& upstreams, bool backup) {
  for (const ProxyUpstream& upstream : upstreams) {
    out += "    server " + upstream.endpoint.to_string() + " weight=" + std::to_string(upstream.weight);
    out += " max_fails=" + std::to_string(upstream.max_fails);
    out += " fail_timeout=" + seconds_text(upstream.fail_timeout) + (backup ? " backup;" : ";");
    out += "  # " + harmless(upstream.name) + "\n";
  }
}

void append_group(std::string& out, const ProxyPlan& plan, const ProxySettings& settings, bool of_backups) {
  const Duration idle =
      settings.retry_post ? settings.upstream_idle_timeout : std::min(settings.upstream_idle_timeout, kSafeIdle);
  const std::string name = of_backups ? "infinilm_backup" : "infinilm_backend";
  const std::size_t zone = kZoneKib + kZoneKibEach * (plan.primaries.size() + plan.backups.size());
  out += "  upstream " + name + " {\n";
  out += "    # One count of failures and connections for all workers.\n";
  out += "    zone " + name + " " + std::to_string(zone) + "k;\n";
  if (!of_backups) out += method_line(plan, settings);
  append_servers(out, of_backups ? plan.backups : plan.primaries, false);
  if (!of_backups && !backups_apart(plan)) append_servers(out, plan.backups, true);
  if (idle > Duration::zero()) {
    out += "    keepalive 128;\n    keepalive_timeout " + nginx_time(idle) + ";\n";
  }
  out += "  }\n\n";
}

Result<std::string> https_lines(const ProxyPlan& plan, const ProxySettings& settings) {
  if (!plan.tls) return std::string();
  const Endpoint& first = plan.primaries.front().endpoint;
  for (const auto* list : {&plan.primaries, &plan.backups}) {
    for (const ProxyUpstream& upstream : *list) {
      if (!upstream.tls) {
        return invalid("nginx cannot have http and https instances in one group; --format haproxy can");
      }
      if (settings.upstream_tls_verify && upstream.endpoint.host != first.host) {
        return invalid(
            "nginx checks the certificates of all https instances for one name, and these have several; --format "
            "haproxy checks each for its own");
      }
    }
  }
  std::string out = "    proxy_ssl_server_name on;\n    proxy_ssl_name " + first.host + ";\n";
  if (!settings.upstream_tls_verify) return out;
  const auto path = quoted_path(settings.tls_ca.empty() ? "/etc/ssl/certs/ca-certificates.crt" : settings.tls_ca);
  if (!path) return path.error();
  return out + "    proxy_ssl_verify on;\n    proxy_ssl_verify_depth 5;\n    proxy_ssl_trusted_certificate " + *path +
         ";\n";
}

void append_retries(std::string& out, const ProxySettings& settings) {
  if (settings.retry_max == 0) {
    out += "    proxy_next_upstream off;\n";
    return;
  }
  out += "    proxy_next_upstream error timeout";
  if (settings.retry_on_503) out += " http_503";
  if (settings.retry_post) out += " non_idempotent";
  out += ";\n    proxy_next_upstream_tries " + std::to_string(settings.retry_max + 1) + ";\n";
  out += "    proxy_next_upstream_timeout " + nginx_time(settings.proxy_timeout) +
         ";  # nothing is asked again after a time-out\n";
}

/// Own pages, as the generator of the earlier implementations had them.
void append_services_page(std::string& out, const ProxyPlan& plan) {
  out += "    location = /services {\n      default_type application/json;\n      set $infinilm_list '';\n";
  std::string literal;
  std::size_t total = 0;
  const auto flush = [&] {
    if (!literal.empty()) out += "      set $infinilm_list '${infinilm_list}" + literal + "';\n";
    literal.clear();
  };
  for (const auto* list : {&plan.primaries, &plan.backups}) {
    for (const ProxyUpstream& upstream : *list) {
      if (total++ > 0) literal += ',';
      literal += R"({"name":")" + harmless(upstream.name) + R"(","host":")" + upstream.endpoint.host;
      literal += R"(","port":)" + std::to_string(upstream.endpoint.port);
      literal += R"(,"weight":)" + std::to_string(upstream.weight);
      literal += list == &plan.backups ? R"(,"backup":true})" : R"(,"backup":false})";
      if (literal.size() > kLiteralBytes - 2000) flush();  // 2000: the longest next one
    }
  }
  flush();
  out += R"(      return 200 '{"services":[$infinilm_list],"total":)" + std::to_string(total) + "}';\n    }\n";
}

void append_maps(std::string& out, const ProxyPlan& plan, const ProxySettings& settings) {
  out += "  # Connections are kept, but for WebSockets; no other protocol is switched to.\n";
  out += "  map $http_upgrade $infinilm_upgrade {\n    default '';\n    ~*^websocket$ websocket;\n  }\n";
  out += "  map $infinilm_upgrade $infinilm_connection {\n    default '';\n    websocket upgrade;\n  }\n";
  if (plan.method == ProxyMethod::session && plain_field_name(settings.session_header)) {
    const std::string session = header_variable(settings.session_header);
    out += "  map " + session + " $infinilm_session {\n    default " + session + ";\n    '' $remote_addr;\n  }\n";
  }
  out += "\n";
}

Result<std::string> server_block(const ProxyPlan& plan, const ProxySettings& settings) {
  std::string out = "  server {\n    listen " + listen_text(settings);
  if (!settings.tls_cert.empty()) {
    const auto cert = quoted_path(settings.tls_cert);
    const auto key = quoted_path(settings.tls_key);
    if (!cert) return cert.error();
    if (!key) return key.error();
    out += " ssl;\n    ssl_certificate " + *cert + ";\n    ssl_certificate_key " + *key;
    out += ";\n    ssl_protocols TLSv1.2 TLSv1.3";
  }
  out += ";\n    server_name infinilm;  # also what instances hear as Host from clients that send none\n";
  out += "\n    # Engines have been tricked with hosts that are none.\n";
  out += "    if ($http_host ~ \"[^A-Za-z0-9.:\\[\\]_-]\") {\n      return 400;\n    }\n\n";
  out += "    client_max_body_size " + std::to_string(settings.max_body_bytes) + ";\n";
  out += "    client_body_buffer_size 1m;\n";
  out += "    client_header_timeout " + nginx_time(settings.header_timeout) + ";\n";
  out += "    client_body_timeout " + nginx_time(settings.body_timeout) + ";\n";
  out += "    send_timeout " + nginx_time(settings.write_timeout) + ";\n";
  out += "    keepalive_timeout " + nginx_time(settings.idle_timeout) + ";\n\n";
  out += "    # Every piece of a stream is passed on when it comes.\n";
  out +=
      "    proxy_http_version 1.1;\n    proxy_buffering off;\n    proxy_buffer_size 32k;\n    proxy_buffers 4 32k;\n";
  out += "    proxy_set_header Host $host;\n    proxy_set_header Upgrade $infinilm_upgrade;\n";
  out += "    proxy_set_header Connection $infinilm_connection;\n";
  out += "    proxy_set_header X-Real-IP $remote_addr;\n    proxy_set_header X-Forwarded-For $remote_addr;\n";
  out += "    proxy_set_header X-Forwarded-Proto $scheme;\n    proxy_set_header X-Forwarded-Host $host;\n";
  out +=
      "    proxy_ignore_headers X-Accel-Buffering X-Accel-Charset X-Accel-Expires X-Accel-Limit-Rate "
      "X-Accel-Redirect;\n";
  out += "    proxy_connect_timeout " + nginx_time(settings.proxy_connect_timeout) + ";\n";
  out += "    proxy_send_timeout " + nginx_time(settings.proxy_timeout) + ";\n";
  out += "    proxy_read_timeout " + nginx_time(settings.proxy_timeout) + ";\n";
  append_retries(out, settings);
  const auto https = https_lines(plan, settings);
  if (!https) return https.error();
  const auto health =
      quoted_path((plan.tls ? "https://infinilm_backend" : "http://infinilm_backend") + settings.health_path);
  if (!health) return invalid("health_path: " + health.error().message);
  const std::string scheme = plan.tls ? "https://" : "http://";
  out += *https + "\n    location / {\n      proxy_pass " + scheme + "infinilm_backend;\n";
  if (backups_apart(plan)) out += "      error_page 502 = @infinilm_backup;\n";
  out += "    }\n";
  if (backups_apart(plan)) {
    out += "    location @infinilm_backup {\n      proxy_pass " + scheme + "infinilm_backup;\n    }\n";
  }
  out += "    location = /health {\n      default_type text/plain;\n      return 200 \"healthy\\n\";\n    }\n";
  out += "    location = /backend-health {\n      proxy_pass " + *health + ";\n    }\n";
  append_services_page(out, plan);
  return out + "  }\n";
}

}  // namespace

Result<std::string> nginx_config(const ProxyPlan& plan, const ProxySettings& settings) {
  const auto server = server_block(plan, settings);
  if (!server) return server.error();
  std::string out =
      "worker_processes auto;\nworker_rlimit_nofile 65536;\n\nevents {\n  worker_connections 16384;\n}\n\n";
  out += "http {\n  server_tokens off;\n\n";
  append_maps(out, plan, settings);
  append_group(out, plan, settings, false);
  if (backups_apart(plan)) append_group(out, plan, settings, true);
  return out + *server + "}\n";
}

}  // namespace svc::ctl
