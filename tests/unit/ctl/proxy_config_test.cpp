#include "ctl/core/proxy_config.hpp"

#include <gmock/gmock.h>

#include <regex>

#include "ctl/core/proxy_plan.hpp"

namespace svc::ctl {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

ProxyUpstream upstream(const std::string& name, std::uint16_t port) {
  ProxyUpstream made;
  made.name = name;
  made.endpoint = {"10.0.0.1", port};
  return made;
}

ProxySettings settings_with(const std::string& method) {
  ProxySettings settings;
  settings.source = "http://10.0.0.9:8081";
  settings.load_balancing_method = method;
  return settings;
}

std::string text_of(ProxyFormat format, const std::vector<ProxyUpstream>& upstreams,
                    const ProxySettings& settings = {}) {
  const auto config = make_proxy_config(format, upstreams, settings);
  return config ? config->text : "error: " + config.error().to_string();
}

std::string nginx(const std::vector<ProxyUpstream>& upstreams, const ProxySettings& settings = {}) {
  return text_of(ProxyFormat::nginx, upstreams, settings);
}

std::string haproxy(const std::vector<ProxyUpstream>& upstreams, const ProxySettings& settings = {}) {
  return text_of(ProxyFormat::haproxy, upstreams, settings);
}

std::vector<std::string> notes_of(const std::vector<ProxyUpstream>& upstreams, const ProxySettings& settings) {
  return make_proxy_config(ProxyFormat::nginx, upstreams, settings).value().notes;
}

std::size_t count(const std::string& text, const std::string& word) {
  std::size_t found = 0;
  for (std::size_t at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) ++found;
  return found;
}

TEST(ProxyConfig, Nginx_ServerLineHasWeightAndFailureLimits) {
  ProxyUpstream one = upstream("gpu1", 5001);
  one.weight = 4;
  one.max_fails = 2;
  one.fail_timeout = std::chrono::milliseconds(1500);
  EXPECT_THAT(nginx({one}), HasSubstr("    server 10.0.0.1:5001 weight=4 max_fails=2 fail_timeout=2s;  # gpu1\n"));
}

TEST(ProxyConfig, Nginx_StreamsAreNotHeldBack) {
  const std::string text = nginx({upstream("gpu1", 5001)});
  for (const char* line : {"proxy_buffering off;", "proxy_http_version 1.1;", "keepalive 128;",
                           "proxy_set_header Connection $infinilm_connection;"}) {
    EXPECT_THAT(text, HasSubstr(line));
  }
}

TEST(ProxyConfig, Nginx_TimesAndRetriesAreTheRouters) {
  ProxySettings settings;
  settings.proxy_timeout = std::chrono::seconds(300);
  settings.proxy_connect_timeout = std::chrono::milliseconds(2500);
  settings.retry_max = 4;
  std::string text = nginx({upstream("a", 1)}, settings);
  for (const char* line :
       {"proxy_read_timeout 300s;", "proxy_connect_timeout 2500ms;", "proxy_next_upstream_tries 5;",
        "proxy_next_upstream error timeout http_503 non_idempotent;", "proxy_next_upstream_timeout 300s;"}) {
    EXPECT_THAT(text, HasSubstr(line));
  }
  settings.retry_post = false;
  settings.retry_on_503 = false;
  text = nginx({upstream("a", 1)}, settings);
  EXPECT_THAT(text, HasSubstr("proxy_next_upstream error timeout;"));
  EXPECT_THAT(text, HasSubstr("keepalive_timeout 4s;")) << "a POST on a closed connection would not be repeated";
  settings.retry_max = 0;
  EXPECT_THAT(nginx({upstream("a", 1)}, settings), HasSubstr("proxy_next_upstream off;"));
}

TEST(ProxyConfig, MethodsOfTheRouter) {
  struct Case {
    const char* method;
    const char* nginx;
    const char* haproxy;
  };
  for (const Case& c :
       {Case{"round_robin", "k;\n    server ", "balance roundrobin\n"}, Case{"weighted", "", "balance roundrobin\n"},
        Case{"least_connections", "    least_conn;\n", "balance leastconn\n"},
        Case{"least_conn", "    least_conn;\n", "balance leastconn\n"},
        Case{"ip_hash", "    ip_hash;\n", "balance source\n"},
        Case{"random", "    random two least_conn;\n", "balance random\n"},
        Case{"session", "    hash $infinilm_session consistent;\n", "balance hdr(X-Session-Id)\n"}}) {
    SCOPED_TRACE(c.method);
    EXPECT_THAT(nginx({upstream("a", 1)}, settings_with(c.method)), HasSubstr(c.nginx));
    EXPECT_THAT(haproxy({upstream("a", 1)}, settings_with(c.method)), HasSubstr(c.haproxy));
    EXPECT_TRUE(notes_of({upstream("a", 1)}, settings_with(c.method)).empty());
  }
}

TEST(ProxyConfig, UnknownMethod_LeastConnectionsAndANote) {
  const auto config = make_proxy_config(ProxyFormat::nginx, {upstream("a", 1)}, settings_with("best;{}")).value();
  EXPECT_THAT(config.text, HasSubstr("    least_conn;\n"));
  ASSERT_EQ(config.notes.size(), 1U);
  EXPECT_THAT(config.notes[0], HasSubstr("best\\u003b\\u007b\\u007d"));
  EXPECT_THAT(config.text, HasSubstr("# " + config.notes[0] + "\n"));
}

TEST(ProxyConfig, SessionHeaderThatCannotBeNamed_TheAddressDecides) {
  ProxySettings settings = settings_with("session");
  settings.session_header = "X-Odd'Name";
  EXPECT_THAT(nginx({upstream("a", 1)}, settings), HasSubstr("hash $remote_addr consistent;"));
  EXPECT_THAT(haproxy({upstream("a", 1)}, settings), HasSubstr("balance source\n"));
}

TEST(ProxyConfig, Backups) {
  ProxyUpstream spare = upstream("spare", 2);
  spare.backup = true;
  const std::vector<ProxyUpstream> both = {upstream("a", 1), spare};
  EXPECT_THAT(nginx(both), HasSubstr("server 10.0.0.1:2 weight=1 max_fails=3 fail_timeout=30s backup;"));
  EXPECT_THAT(haproxy(both), HasSubstr("error-limit 3 on-error mark-down backup\n"));
  // nginx has no backups beside these methods.
  for (const char* method : {"ip_hash", "session", "random"}) {
    const std::string text = nginx(both, settings_with(method));
    EXPECT_EQ(count(text, " backup;"), 0U) << method;
    EXPECT_THAT(text, HasSubstr("upstream infinilm_backup {")) << method;
    EXPECT_THAT(text, HasSubstr("error_page 502 = @infinilm_backup;")) << method;
  }
  // Nobody is above it.
  EXPECT_EQ(count(nginx({spare}), "backup;"), 0U);
  EXPECT_EQ(count(haproxy({spare}), " backup\n"), 0U);
}

TEST(ProxyConfig, WeightZero_GetsNothing) {
  ProxyUpstream idle = upstream("idle", 2);
  idle.weight = 0;
  EXPECT_THAT(nginx({upstream("a", 1), idle}), Not(HasSubstr("10.0.0.1:2")));
  EXPECT_THAT(nginx({idle}), HasSubstr("error: there is no instance that may get requests"));
}

TEST(ProxyConfig, LargeWeights_AreScaled) {
  ProxyUpstream large = upstream("large", 1);
  large.weight = 1'000'000;
  ProxyUpstream half = upstream("half", 2);
  half.weight = 500'000;
  ProxyUpstream small = upstream("small", 3);
  for (const auto format : {ProxyFormat::nginx, ProxyFormat::haproxy}) {
    const auto config = make_proxy_config(format, {large, half, small}, {}).value();
    const std::string sign = format == ProxyFormat::nginx ? "weight=" : "weight ";
    for (const char* weight : {"256 ", "128 ", "1 "}) EXPECT_THAT(config.text, HasSubstr(sign + weight));
    EXPECT_EQ(config.notes.size(), 1U);
  }
}

TEST(ProxyConfig, NobodyOrAnImpossibleAddress_IsAnError) {
  ProxyUpstream bad = upstream("bad", 1);
  for (const char* host : {"", "a b", "x;y", "10.0.0.1:80", "$host", "{", "256.1.1.1", "::1%eth0", "a\nb"}) {
    bad.endpoint.host = host;
    for (const auto format : {ProxyFormat::nginx, ProxyFormat::haproxy}) {
      EXPECT_THAT(text_of(format, {upstream("a", 2), bad}), HasSubstr("error: 'bad' has no usable address")) << host;
    }
  }
  bad.endpoint = {"10.0.0.1", 0};
  EXPECT_THAT(nginx({bad}), HasSubstr("error: "));
  EXPECT_EQ(make_proxy_config(ProxyFormat::haproxy, {}, {}).error().code, Errc::unavailable);
}

TEST(ProxyConfig, Ipv6_IsInBrackets) {
  ProxyUpstream six = upstream("six", 5001);
  six.endpoint.host = "fd00::5";
  EXPECT_THAT(nginx({six}), HasSubstr("server [fd00::5]:5001 "));
  EXPECT_THAT(haproxy({six}), HasSubstr("server six [fd00::5]:5001 "));
}

TEST(ProxyConfig, RepeatedAddress_OnceAndANote) {
  const auto config = make_proxy_config(ProxyFormat::nginx, {upstream("a", 1), upstream("again", 1)}, {}).value();
  EXPECT_EQ(count(config.text, "server 10.0.0.1:1 "), 1U);
  EXPECT_EQ(config.instances, 1U);
  ASSERT_EQ(config.notes.size(), 1U);
  EXPECT_THAT(config.notes[0], HasSubstr("'again' is left out"));
}

TEST(ProxyConfig, Model_ChoosesAndDifferentOnesAreNoted) {
  ProxyUpstream a = upstream("a", 1);
  ProxyUpstream b = upstream("b", 2);
  const ProxyUpstream silent = upstream("silent", 3);
  a.models = {"m1"};
  b.models = {"m2"};
  EXPECT_THAT(notes_of({a, b}, {}), ::testing::Contains(HasSubstr("different models")));
  EXPECT_TRUE(notes_of({a, a, silent}, {}).size() == 1) << "the repeated address alone";
  ProxySettings settings;
  settings.model = "m2";
  const std::string text = nginx({a, b, silent}, settings);
  EXPECT_THAT(text, Not(HasSubstr("10.0.0.1:1 ")));
  EXPECT_THAT(text, HasSubstr("10.0.0.1:2 "));
  EXPECT_THAT(text, HasSubstr("10.0.0.1:3 "));
  settings.model = "m3";
  EXPECT_THAT(nginx({a, b}, settings),
              HasSubstr("error: there is no instance that may get requests for the model 'm3'"));
}

TEST(ProxyConfig, Https) {
  ProxyUpstream one = upstream("one", 443);
  one.tls = true;
  one.endpoint.host = "gpu1.example";
  ProxyUpstream two = one;
  two.endpoint.port = 444;
  ProxySettings settings;
  settings.tls_ca = "/etc/ca.pem";
  std::string text = nginx({one, two}, settings);
  EXPECT_THAT(text, HasSubstr("proxy_pass https://infinilm_backend;"));
  EXPECT_THAT(text, HasSubstr("proxy_ssl_name gpu1.example;"));
  EXPECT_THAT(text, HasSubstr("proxy_ssl_trusted_certificate \"/etc/ca.pem\";"));
  EXPECT_THAT(
      haproxy({one, upstream("plain", 1)}, settings),
      HasSubstr(" ssl sni str(gpu1.example) check-sni gpu1.example verify required verifyhost gpu1.example ca-file "
                "\"/etc/ca.pem\""));
  EXPECT_THAT(nginx({one, upstream("plain", 1)}), HasSubstr("error: nginx cannot have http and https"));
  two.endpoint.host = "gpu2.example";
  EXPECT_THAT(nginx({one, two}), HasSubstr("error: nginx checks the certificates"));
  settings.upstream_tls_verify = false;
  EXPECT_THAT(nginx({one, two}, settings), Not(HasSubstr("proxy_ssl_verify on")));
  EXPECT_THAT(haproxy({one}, settings), HasSubstr("verify none"));
}

TEST(ProxyConfig, TlsOfThePort) {
  ProxySettings settings;
  settings.tls_cert = "/etc/my keys/cert.pem";
  settings.tls_key = "/etc/my keys/key.pem";
  const std::string text = nginx({upstream("a", 1)}, settings);
  EXPECT_THAT(text, HasSubstr("listen 8080 ssl;"));
  EXPECT_THAT(text, HasSubstr("ssl_certificate \"/etc/my keys/cert.pem\";"));
  EXPECT_THAT(haproxy({upstream("a", 1)}, settings), HasSubstr("error: HAProxy wants certificate and key in one file"));
  settings.tls_key = settings.tls_cert;
  EXPECT_THAT(haproxy({upstream("a", 1)}, settings), HasSubstr("bind :8080 ssl crt \"/etc/my keys/cert.pem\""));
  settings.tls_cert = "/etc/$evil\".pem";
  EXPECT_THAT(nginx({upstream("a", 1)}, settings), HasSubstr("error: "));
}

TEST(ProxyConfig, ListenAddress) {
  ProxySettings settings;
  settings.port = 80;
  EXPECT_THAT(nginx({upstream("a", 1)}, settings), HasSubstr("    listen 80;\n"));
  settings.host = "::";
  EXPECT_THAT(nginx({upstream("a", 1)}, settings), HasSubstr("listen [::]:80 ipv6only=off;"));
  EXPECT_THAT(haproxy({upstream("a", 1)}, settings), HasSubstr("bind [::]:80 v4v6\n"));
  settings.host = "127.0.0.1";
  EXPECT_THAT(haproxy({upstream("a", 1)}, settings), HasSubstr("bind 127.0.0.1:80\n"));
}

TEST(ProxyConfig, WhatOnlyTheRouterDoes_IsNoted) {
  ProxySettings settings;
  settings.asks_for_api_keys = true;
  settings.sends_upstream_token = true;
  EXPECT_EQ(notes_of({upstream("a", 1)}, settings).size(), 2U);
}

/// The text without what may differ: names in comments, in the list and as labels.
std::string skeleton(const std::string& text) {
  const std::string without_comments = std::regex_replace(text, std::regex("#[^\n]*\n"), "\n");
  // Long names make more literals of the list.
  const std::string one_literal =
      std::regex_replace(without_comments, std::regex("';\n *set \\$infinilm_list '\\$\\{infinilm_list\\}"), "");
  const std::string without_names = std::regex_replace(one_literal, std::regex("\"name\":\"[^\"]*\""), "");
  return std::regex_replace(without_names, std::regex("\n  server [A-Za-z0-9._-]+ "), "\n  server X ");
}

TEST(ProxyConfig, NamesNeverChangeWhatIsConfigured) {
  const std::string all_bytes = [] {
    std::string bytes;
    for (int byte = 0; byte < 256; ++byte) bytes += static_cast<char>(byte);
    return bytes;
  }();
  for (const auto format : {ProxyFormat::nginx, ProxyFormat::haproxy}) {
    const std::string plain = skeleton(text_of(format, {upstream("plain", 1), upstream("other", 2)}));
    for (const std::string& name : {std::string("\n}; include /etc/passwd; #"), std::string("${x}'\";"), all_bytes,
                                    std::string("\\"), std::string("\\\n"), std::string(5000, '\''), std::string(),
                                    std::string("a\rserver evil 1.2.3.4:80"), std::string("\xE2\x80\xA8 \xC2\x85")}) {
      EXPECT_EQ(skeleton(text_of(format, {upstream(name, 1), upstream(name, 2)})), plain) << name;
    }
  }
}

TEST(ProxyConfig, ManyInstances_NoLiteralIsTooLongForNginx) {
  std::vector<ProxyUpstream> many;
  for (std::uint16_t port = 1; port <= 500; ++port) many.push_back(upstream(std::string(253, '\''), port));
  const std::string text = nginx(many);
  std::size_t longest = 0;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = text.find('\n', at);
    longest = std::max(longest, end - at);
    at = end + 1;
  }
  EXPECT_LT(longest, 4096U);
  EXPECT_EQ(count(text, "\"name\":"), 500U);
  EXPECT_THAT(text, HasSubstr("    zone infinilm_backend 3024k;\n"));
}

TEST(ProxyConfig, SameInput_SameText) {
  EXPECT_EQ(nginx({upstream("a", 1), upstream("b", 2)}), nginx({upstream("a", 1), upstream("b", 2)}));
}

TEST(ProxyConfig, Haproxy_ChecksAndStreams) {
  const std::string text = haproxy({upstream("a", 1)});
  for (const char* line : {"option http-no-delay", "option httpchk", "uri \"/health\"", "default-server check ",
                           "timeout server 300s", "retry-on conn-failure empty-response 503", "slowstart 30s"}) {
    EXPECT_THAT(text, HasSubstr(line));
  }
  ProxySettings settings;
  settings.retry_post = false;
  settings.slow_start = Duration::zero();
  settings.health_path = "/up";
  const std::string other = haproxy({upstream("a", 1)}, settings);
  EXPECT_THAT(other, HasSubstr("http-request disable-l7-retry if METH_POST"));
  EXPECT_THAT(other, Not(HasSubstr("slowstart")));
  EXPECT_THAT(other, HasSubstr("uri \"/up\""));
  settings.health_path = "/\"; evil";
  EXPECT_THAT(haproxy({upstream("a", 1)}, settings), HasSubstr("error: health_path: "));
  EXPECT_THAT(nginx({upstream("a", 1)}, settings), HasSubstr("error: health_path: "));
}

TEST(ProxyConfig, Haproxy_LabelsAreUnique) {
  const std::string text = haproxy({upstream("a b", 1), upstream("a_b", 2), upstream("a?b", 3), upstream("", 4)});
  for (const char* label : {"server a_b 10", "server a_b_2 10", "server a_b_3 10", "server instance 10"}) {
    EXPECT_EQ(count(text, label), 1U) << label;
  }
}

}  // namespace
}  // namespace svc::ctl
