// What make_proxy_config has decided before it prints; the printers of nginx and HAProxy see this alone.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "ctl/core/proxy_config.hpp"

namespace svc::ctl {

enum class ProxyMethod { round_robin, least_connections, ip_hash, session, random };

struct ProxyPlan {
  std::vector<ProxyUpstream> primaries;  ///< at least one; weights 1 to kMostWeight
  std::vector<ProxyUpstream> backups;    ///< likewise
  ProxyMethod method = ProxyMethod::round_robin;
  bool tls = false;  ///< some instance speaks HTTPS
};

/// HAProxy's bound. nginx has none, but its consistent hashing makes 160 points for each unit.
inline constexpr std::int64_t kMostWeight = 256;

/// Anything as part of a comment, a JSON string inside single quotes, or a label: letters, digits, blanks and "._-:/" stay, every
/// other character is \uXXXX (as JSON reads it), and bytes that are no UTF-8 are U+FFFD.
[[nodiscard]] std::string harmless(std::string_view text);

/// A path as one word in double quotes. Error: it has a character that could not be quoted for both proxies (a control
/// character, '"', '\\', '$' or '%').
[[nodiscard]] Result<std::string> quoted_path(std::string_view path);

/// Letters, digits and '-' alone: a request field that both proxies can name.
[[nodiscard]] bool plain_field_name(std::string_view name);

/// The first lines, comments: what made the file, and what is different. Ends with an empty line.
[[nodiscard]] std::string head_comment(const ProxySettings& settings, const std::vector<std::string>& notes);

[[nodiscard]] Result<std::string> nginx_config(const ProxyPlan& plan, const ProxySettings& settings);
[[nodiscard]] Result<std::string> haproxy_config(const ProxyPlan& plan, const ProxySettings& settings);

}  // namespace svc::ctl
