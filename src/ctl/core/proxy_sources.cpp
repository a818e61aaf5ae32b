#include "ctl/core/proxy_sources.hpp"

#include <nlohmann/json.hpp>

#include "common/core/duration_text.hpp"
#include "common/core/http_url.hpp"
#include "common/core/json_reader.hpp"
#include "common/core/wire/registry_api.hpp"
#include "ctl/core/page_json.hpp"
#include "ctl/core/proxy_plan.hpp"

namespace svc::ctl {
namespace {

using nlohmann::json;
using std::chrono::hours;
using std::chrono::milliseconds;

std::string text_at(const json& object, const char* key) {
  const json* const found = member(object, key);
  return found != nullptr && found->is_string() ? found->get<std::string>() : std::string();
}

bool flag_at(const json& object, const char* key, bool otherwise) {
  const json* const found = member(object, key);
  return found != nullptr && found->is_boolean() ? found->get<bool>() : otherwise;
}

/// The names in a list of texts, or of objects with an id.
std::vector<std::string> names_at(const json& object, const char* key) {
  std::vector<std::string> names;
  const json* const list = member(object, key);
  if (list == nullptr || !list->is_array()) return names;
  for (const json& item : *list) {
    std::string name = item.is_string() ? item.get<std::string>() : text_at(item, "id");
    if (!name.empty()) names.push_back(std::move(name));
  }
  return names;
}

std::vector<std::string> models_of(const json& entry, const json& metadata) {
  auto models = names_at(entry, "models");
  if (models.empty()) models = names_at(metadata, "models");
  if (models.empty()) models = names_at(metadata, "models_list");
  if (const std::string one = text_at(metadata, "model"); models.empty() && !one.empty()) models = {one};
  return models;
}

Result<void> take_shares(const json& entry, ProxyUpstream& upstream) {
  // One reader for each: a wrong one must not take the others with it.
  JsonReader weight(entry, "");
  JsonReader fails(entry, "");
  JsonReader time(entry, "");
  weight.integer("weight", upstream.weight, 0, wire::kMaxWeight);
  fails.integer("max_fails", upstream.max_fails, 0, wire::kMaxMaxFails);
  time.duration("fail_timeout", upstream.fail_timeout, milliseconds(1), hours(24));
  for (const JsonReader* reader : {&weight, &fails, &time}) {
    if (const auto error = reader->error()) return *error;
  }
  return {};
}

/// Earlier clients register ports as text too.
std::uint16_t port_at(const json& entry) {
  std::uint16_t port = 0;
  JsonReader reader(entry, "");
  if (!reader.integer("port", port, 1, 65535)) (void)parse_port(text_at(entry, "port"), port);
  return port;
}

/// Host and port, or what an https url says. Error: a sentence without the service's name.
Result<void> take_address(const json& entry, ProxyUpstream& upstream) {
  upstream.endpoint = {std::string(without_brackets(text_at(entry, "host"))), port_at(entry)};
  if (!valid_host(upstream.endpoint.host)) return invalid("has no usable host");
  if (upstream.endpoint.port == 0) return invalid("has no usable port");
  upstream.tls = flag_at(entry, "tls", false);
  const std::string url = text_at(entry, "url");
  if (const auto parsed = url.empty() ? Result<HttpUrl>(invalid("")) : parse_http_url(url); parsed && parsed->tls) {
    upstream.tls = true;
    upstream.endpoint = parsed->endpoint;
  }
  return {};
}

/// `lenient`: a wrong weight or time-out of somebody else's record is no reason to lose the instance.
Result<ProxyUpstream> read_entry(const json& entry, bool lenient) {
  ProxyUpstream upstream;
  upstream.name = text_at(entry, "name");
  if (auto address = take_address(entry, upstream); !address) return address.error();
  const json* const metadata = member(entry, "metadata");
  const json none = json::object();
  const json& facts = metadata != nullptr ? *metadata : none;
  if (auto shares = take_shares(entry, upstream); !shares && !lenient) return wrap("is wrong", shares.error());
  upstream.backup = flag_at(entry, "backup", flag_at(facts, "backup", false));
  upstream.models = models_of(entry, facts);
  return upstream;
}

bool is_openai_api(const json& entry) {
  const json* const metadata = member(entry, "metadata");
  const json* const type = metadata != nullptr ? member(*metadata, "type") : nullptr;
  if (type != nullptr) return type->is_string() && type->get_ref<const std::string&>() == wire::kTypeOpenAiApi;
  return !models_of(entry, metadata != nullptr ? *metadata : json::object()).empty();
}

bool is_up(const json& entry) {
  const std::string status = text_at(entry, "status");
  return (status.empty() || status == wire::kStatusRunning) && flag_at(entry, "is_healthy", true);
}

/// As the router finds it in its files.
const json* list_in(const json& file) {
  if (file.is_array()) return &file;
  const json* const section = member(file, "static_services");
  if (section != nullptr && section->is_array()) return section;
  const json* const list = member(section != nullptr ? *section : file, "services");
  return list != nullptr && list->is_array() ? list : nullptr;
}

}  // namespace

Result<ProxyCandidates> registered_upstreams(std::string_view body) {
  const auto answer = parse_json(body);
  if (!answer) return protocol_error("the registry's answer cannot be read", answer.error().to_string());
  const json* const services = member(*answer, "services");
  if (services == nullptr || !services->is_array())
    return protocol_error("the registry's answer has no list of services");
  ProxyCandidates found;
  for (const json& entry : *services) {
    if (!is_openai_api(entry) || !is_up(entry)) continue;
    auto upstream = read_entry(entry, true);
    if (upstream) {
      found.upstreams.push_back(*std::move(upstream));
    } else {
      found.left_out.push_back("'" + harmless(text_at(entry, "name").substr(0, wire::kMaxNameBytes)) + "' " +
                               upstream.error().message);
    }
  }
  return found;
}

Result<ProxyCandidates> static_upstreams(const json& file) {
  const json* const services = list_in(file);
  if (services == nullptr) {
    return invalid("has no services: neither static_services.services, nor a list services, nor the list itself");
  }
  ProxyCandidates found;
  for (std::size_t i = 0; i < services->size(); ++i) {
    auto upstream = read_entry((*services)[i], false);
    if (!upstream) return invalid("services[" + std::to_string(i) + "] " + upstream.error().to_string());
    if (upstream->name.empty()) upstream->name = "service_" + std::to_string(i + 1);
    found.upstreams.push_back(*std::move(upstream));
  }
  return found;
}

Result<ProxySettings> proxy_settings(std::string_view printed) {
  const auto parsed = parse_json(printed);
  const json* const router = parsed ? member(*parsed, "router") : nullptr;
  if (router == nullptr) return invalid("the router's settings cannot be read");
  constexpr Duration kLongest = hours(24);
  ProxySettings s;
  JsonReader reader(*router, "router");
  reader.text("host", s.host);
  reader.integer("port", s.port, 0, 65535);
  reader.text("tls_cert", s.tls_cert);
  reader.text("tls_key", s.tls_key);
  reader.text("load_balancing_method", s.load_balancing_method);
  reader.text("session_header", s.session_header);
  for (const auto& [key, target] : {std::pair{"proxy_timeout", &s.proxy_timeout},
                                    {"proxy_connect_timeout", &s.proxy_connect_timeout},
                                    {"header_timeout", &s.header_timeout},
                                    {"body_timeout", &s.body_timeout},
                                    {"write_timeout", &s.write_timeout},
                                    {"idle_timeout", &s.idle_timeout},
                                    {"upstream_idle_timeout", &s.upstream_idle_timeout},
                                    {"slow_start", &s.slow_start}}) {
    reader.duration(key, *target, Duration::zero(), kLongest);
  }
  reader.integer("max_body_bytes", s.max_body_bytes, 0, std::int64_t{1} << 40);
  reader.integer("retry_max", s.retry_max, 0, 100);
  reader.flag("retry_post", s.retry_post);
  reader.flag("retry_on_503", s.retry_on_503);
  reader.text("health_path", s.health_path);
  reader.integer("max_errors", s.max_errors, 1, 1'000'000);
  reader.integer("healthy_after", s.healthy_after, 1, 1'000'000);
  reader.text("tls_ca", s.tls_ca);
  reader.flag("upstream_tls_verify", s.upstream_tls_verify);
  s.asks_for_api_keys = !text_at(*router, "api_keys_file").empty();
  s.sends_upstream_token = !text_at(*router, "upstream_token_file").empty();
  if (const auto error = reader.error()) return *error;
  return s;
}

}  // namespace svc::ctl
