#include "ctl/core/proxy_config.hpp"

#include <algorithm>
#include <cmath>
#include <optional>
#include <set>

#include "common/core/json_text.hpp"
#include "common/core/wire/registry_api.hpp"
#include "ctl/core/proxy_plan.hpp"

namespace svc::ctl {
namespace {

bool alphanumeric(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

std::optional<ProxyMethod> method_of(std::string_view word) {
  if (word == "round_robin" || word == "weighted") return ProxyMethod::round_robin;
  if (word == "least_connections" || word == "least_conn") return ProxyMethod::least_connections;
  if (word == "ip_hash") return ProxyMethod::ip_hash;
  if (word == "session") return ProxyMethod::session;
  if (word == "random") return ProxyMethod::random;
  return std::nullopt;
}

void keep_those_of_the_model(std::vector<ProxyUpstream>& upstreams, const std::string& model) {
  std::erase_if(upstreams, [&](const ProxyUpstream& upstream) {
    const auto& models = upstream.models;
    return !models.empty() && std::find(models.begin(), models.end(), model) == models.end();
  });
}

void note_different_models(const std::vector<ProxyUpstream>& upstreams, std::vector<std::string>& notes) {
  const ProxyUpstream* first = nullptr;
  for (const ProxyUpstream& upstream : upstreams) {
    if (upstream.models.empty()) continue;
    if (first == nullptr) first = &upstream;
    if (upstream.models == first->models) continue;
    notes.push_back("'" + harmless(first->name) + "' and '" + harmless(upstream.name) +
                    "' serve different models, and this proxy does not look at the model of a request: choose one with "
                    "--model");
    return;
  }
}

/// nginx would give an address that comes twice two shares, and HAProxy two checks.
void drop_repeated(std::vector<ProxyUpstream>& upstreams, std::vector<std::string>& notes) {
  std::set<Endpoint> seen;
  std::erase_if(upstreams, [&](const ProxyUpstream& upstream) {
    if (seen.insert(upstream.endpoint).second) return false;
    notes.push_back("'" + harmless(upstream.name) + "' is left out: " + upstream.endpoint.to_string() +
                    " is there already");
    return true;
  });
}

void bound_weights(ProxyPlan& plan, std::vector<std::string>& notes) {
  std::int64_t most = 0;
  for (const auto* list : {&plan.primaries, &plan.backups}) {
    for (const ProxyUpstream& upstream : *list) most = std::max(most, upstream.weight);
  }
  if (most <= kMostWeight) return;
  for (auto* list : {&plan.primaries, &plan.backups}) {
    for (ProxyUpstream& upstream : *list) {
      const auto share = static_cast<double>(upstream.weight) / static_cast<double>(most);
      upstream.weight = std::max<std::int64_t>(1, static_cast<std::int64_t>(std::lround(share * kMostWeight)));
    }
  }
  notes.push_back("weights are scaled down so that the largest is " + std::to_string(kMostWeight));
}

void note_what_only_the_router_does(const ProxySettings& settings, std::vector<std::string>& notes) {
  if (settings.asks_for_api_keys) notes.emplace_back("api_keys_file is not followed: this proxy asks nobody for a key");
  if (settings.sends_upstream_token) {
    notes.emplace_back("upstream_token_file is not followed: clients must bring the instances' own token");
  }
}

}  // namespace

std::string harmless(std::string_view text) {
  constexpr std::string_view kKept = "._-:/ ";
  constexpr std::string_view kHex = "0123456789abcdef";
  std::string out;
  for (const char c : valid_utf8(text)) {
    const auto byte = static_cast<unsigned char>(c);
    if (alphanumeric(c) || byte >= 0x80 || kKept.find(c) != std::string_view::npos) {
      out += c;
    } else {
      out += "\\u00";
      out += kHex[byte >> 4];
      out += kHex[byte & 0x0f];
    }
  }
  return out;
}

Result<std::string> quoted_path(std::string_view path) {
  for (const char c : path) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f || c == '"' || c == '\\' || c == '$' || c == '%') {
      return invalid("'" + valid_utf8(path) + "' has a character that a proxy's configuration cannot have in a path");
    }
  }
  return "\"" + std::string(path) + "\"";
}

bool plain_field_name(std::string_view name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) { return alphanumeric(c) || c == '-'; });
}

std::string head_comment(const ProxySettings& settings, const std::vector<std::string>& notes) {
  std::string out = "# Made by infinilm-ctl generate-config of " + harmless(settings.source) + "\n";
  out += "# Changes in this file are lost when it is made again.\n";
  for (const std::string& note : notes) out += "# " + note + "\n";
  return out + "\n";
}

Result<ProxyConfig> make_proxy_config(ProxyFormat format, std::vector<ProxyUpstream> upstreams,
                                      const ProxySettings& settings) {
  ProxyConfig config;
  ProxyPlan plan;
  if (settings.model.empty()) {
    note_different_models(upstreams, config.notes);
  } else {
    keep_those_of_the_model(upstreams, settings.model);
  }
  drop_repeated(upstreams, config.notes);
  for (ProxyUpstream& upstream : upstreams) {
    if (!valid_host(upstream.endpoint.host) || upstream.endpoint.port == 0) {
      return invalid("'" + harmless(upstream.name) + "' has no usable address");
    }
    if (upstream.weight <= 0) continue;
    upstream.name.resize(std::min(upstream.name.size(), wire::kMaxNameBytes));
    plan.tls = plan.tls || upstream.tls;
    (upstream.backup ? plan.backups : plan.primaries).push_back(std::move(upstream));
  }
  // Both proxies want a primary, and a backup that nobody is above is one.
  if (plan.primaries.empty()) plan.primaries.swap(plan.backups);
  if (plan.primaries.empty()) {
    const std::string serves = settings.model.empty() ? "" : " for the model '" + harmless(settings.model) + "'";
    return unavailable("there is no instance that may get requests" + serves);
  }
  bound_weights(plan, config.notes);
  if (const auto method = method_of(settings.load_balancing_method)) {
    plan.method = *method;
  } else {
    plan.method = ProxyMethod::least_connections;
    config.notes.push_back("only infinilm-router knows the method '" + harmless(settings.load_balancing_method) +
                           "': here the fewest connections decide");
  }
  note_what_only_the_router_does(settings, config.notes);
  auto text = format == ProxyFormat::nginx ? nginx_config(plan, settings) : haproxy_config(plan, settings);
  if (!text) return text.error();
  config.text = head_comment(settings, config.notes) + *text;
  config.instances = plan.primaries.size() + plan.backups.size();
  return config;
}

}  // namespace svc::ctl
