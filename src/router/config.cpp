#include "router/config.hpp"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "common/core/header_rules.hpp"
#include "common/core/json_reader.hpp"
#include "common/core/registry_url.hpp"
#include "common/io/config_file.hpp"
#include "router/core/service_record.hpp"

namespace svc::router {
namespace {

using nlohmann::json;

constexpr std::size_t kHoldQueue = 1024;  // of a model, with `hold` and no queue_size

const std::vector<std::string> kMethods = {"round_robin", "weighted", "least_connections", "least_conn",
                                           "ip_hash",     "random",   "session",           "prefix_aware"};

Result<void> read_models(const json& models, BalancingSettings& balancing) {
  static constexpr std::array<std::string_view, 1> kKeys{"load_balancing_method"};
  if (!models.is_object()) return invalid("'models' must be an object");
  for (const auto& item : models.items()) {
    if (item.key().starts_with('_') || item.key().starts_with('$')) continue;
    JsonReader reader(item.value(), "models." + item.key());
    std::string method;
    reader.choice("load_balancing_method", method, kMethods);
    reader.known(kKeys);
    if (const auto error = reader.error()) return *error;
    if (const auto known = parse_method(method)) balancing.method_by_model[item.key()] = *known;
  }
  return {};
}

Result<std::vector<Cidr>> networks(const char* key, const std::vector<std::string>& texts) {
  std::vector<Cidr> list;
  for (const auto& text : texts) {
    auto network = Cidr::parse(text);
    if (!network) return wrap(key, network.error());
    list.push_back(*network);
  }
  return list;
}

Result<void> check_times_and_sizes(const RouterSettings& c) {
  if (c.proxy_total_timeout > Duration::zero() && c.proxy_total_timeout < c.proxy_connect_timeout) {
    return invalid("proxy_total_timeout must not be shorter than proxy_connect_timeout");
  }
  if (c.outlier.refused_most < c.outlier.refused_first) {
    return invalid("refused_most must not be shorter than refused_first");
  }
  if (c.max_buffered_bytes < c.max_body_bytes) {
    return invalid("max_buffered_bytes must not be less than max_body_bytes: the largest body would never be taken");
  }
  return {};
}

Result<void> check_words(const RouterSettings& c) {
  if (c.tls.cert.empty() != c.tls.key.empty()) return invalid("tls_cert and tls_key go together");
  if (c.unknown_model_status != 404 && c.unknown_model_status != 503) {
    return invalid("unknown_model_status must be 404 or 503, got " + std::to_string(c.unknown_model_status));
  }
  if (!c.session_header.empty() && !is_token(c.session_header)) {
    return invalid("session_header must be the name of a request field, got '" + c.session_header + "'");
  }
  const bool plain = c.health_path.find_first_of(" #") == std::string::npos;
  if (!c.health_path.starts_with('/') || !plain) {
    return invalid("health_path must begin with '/' and have neither blanks nor '#', got '" + c.health_path + "'");
  }
  return {};
}

}  // namespace

RouterConfig::RouterConfig() : options_(router_options(settings_)) {}

Result<void> RouterConfig::read_extra(const json& file) {
  if (const auto models = file.find("models"); models != file.end() && !models->is_null()) {
    if (auto read = read_models(*models, settings_.balancing); !read) return read;
  }
  const auto section = file.find("static_services");
  if (section == file.end() || section->is_null()) return {};
  const json* const services = find_static_services(file);
  if (services == nullptr) return invalid("'static_services' must be an object with a list 'services'");
  return add_static(*services, section->is_array() ? "static_services" : "static_services.services", "");
}

Result<void> RouterConfig::add_static(const json& services, const std::string& path, const std::string& origin) {
  auto read = read_static_services(services, path);
  if (!read) return invalid(origin + read.error().to_string());
  for (UpstreamSpec& spec : read->specs) {
    const auto same = std::find_if(settings_.static_upstreams.begin(), settings_.static_upstreams.end(),
                                   [&spec](const UpstreamSpec& known) { return known.name == spec.name; });
    if (same == settings_.static_upstreams.end()) {
      settings_.static_upstreams.push_back(std::move(spec));
    } else if (*same != spec) {
      // The same file as --config and as --static-services is fine.
      return invalid(origin + "there are two static services of the name '" + spec.name + "'");
    }
  }
  without_weight_.insert(without_weight_.end(), read->without_weight.begin(), read->without_weight.end());
  return {};
}

Result<void> RouterConfig::read_static_file() {
  const std::string& path = settings_.static_services;
  if (path.empty()) return {};
  const auto file = read_json_file(path);
  if (!file) return wrap("static_services", file.error());
  const json* const services = find_static_services(*file);
  if (services == nullptr) return invalid("static_services: " + path + ": there is no list 'services'");
  return add_static(*services, "services", path + ": ");
}

Result<void> RouterConfig::check_weights() const {
  if (settings_.balancing.method != Method::weighted || without_weight_.empty()) return {};
  return invalid("static service '" + without_weight_.front() +
                 "' states no weight above 0, which the method 'weighted' needs");
}

/// Chains of aliases become single steps, so that a request follows one at most.
Result<void> RouterConfig::follow_aliases() {
  for (const auto& [alias, target] : settings_.model_aliases) {
    const std::string* served = &target;
    std::size_t steps = 0;
    for (auto next = settings_.model_aliases.find(*served); next != settings_.model_aliases.end();
         next = settings_.model_aliases.find(*served)) {
      if (++steps > settings_.model_aliases.size())
        return invalid("model_aliases: '" + alias + "' leads back to itself");
      served = &next->second;
    }
    settings_.balancing.model_aliases[alias] = *served;
  }
  return {};
}

Result<void> RouterConfig::validate() {
  auto& c = settings_;
  if (!c.registry_url.empty()) {
    auto url = registry_base(c.registry_url);
    if (!url) return wrap("registry_url", url.error());
    c.registry_url = *std::move(url);
  }
  auto allow = networks("allow_networks", c.allow_networks);
  if (!allow) return allow.error();
  c.address_policy = {*std::move(allow), !c.allow_link_local};
  auto trusted = networks("trusted_proxies", c.trusted_proxies);
  if (!trusted) return trusted.error();
  c.trusted = *std::move(trusted);

  c.balancing.method = parse_method(c.load_balancing_method).value_or(Method::round_robin);
  c.balancing.panic_threshold = c.panic_threshold;
  c.balancing.slow_start = c.slow_start;
  c.balancing.load_bound = c.load_bound;
  c.balancing.size_threshold = c.cache_type_routing_threshold;
  c.balancing.prefix = c.prefix;
  c.queue.rule = {.shortest_first = c.prefix.hold, .aging = c.prefix.aging};
  // Holding is waiting: without a size of its own the queue gets one.
  if (c.prefix.hold && c.queue.max_waiting == 0) c.queue.max_waiting = kHoldQueue;
  // With it the wait that would be the instance's is the router's, and is no reason to refuse a request any sooner.
  const Duration usual = c.prefix.hold ? c.proxy_timeout : QueueSettings{}.max_wait;
  c.queue.max_wait = c.queue_timeout > Duration::zero() ? c.queue_timeout : usual;
  // proxy_timeout is for answers that rightly take long; whoever sets this one says what is too late.
  c.retry.on_late = c.proxy_first_byte_timeout > Duration::zero();
  for (const auto& check : {check_words(c), check_times_and_sizes(c), follow_aliases(), read_static_file()}) {
    if (!check) return check;
  }
  return check_weights();
}

}  // namespace svc::router
