// The view on disk: the part of service_record.hpp that writes and reads it.
#include <limits>
#include <nlohmann/json.hpp>

#include "common/core/json_reader.hpp"
#include "common/core/json_text.hpp"
#include "common/core/wire/registry_api.hpp"
#include "router/core/service_metadata.hpp"
#include "router/core/service_record.hpp"

namespace svc::router {
namespace {

using nlohmann::json;

constexpr int kVersion = 1;
constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();

void append_text(std::string& out, const char* key, std::string_view value) {
  out += out.back() == '{' ? "\"" : ",\"";
  out += key;
  out += "\":";
  append_json_string(out, value);
}

void append_number(std::string& out, const char* key, std::int64_t value) {
  out += out.back() == '{' ? "\"" : ",\"";
  out += key;
  out += "\":";
  append_json_int(out, value);
}

void append_flag(std::string& out, const char* key, bool value) {
  if (!value) return;
  out += ",\"";
  out += key;
  out += "\":true";
}

void append_spec(std::string& out, const UpstreamSpec& spec) {
  out += '{';
  append_text(out, "name", spec.name);
  append_text(out, "host", spec.endpoint.host);
  append_number(out, "port", spec.endpoint.port);
  append_text(out, "url", spec.url);
  append_number(out, "weight", spec.weight);
  append_number(out, "max_fails", spec.max_fails);
  append_number(out, "fail_timeout_ns", spec.fail_timeout.count());
  append_number(out, "max_concurrency", spec.max_concurrency);
  append_number(out, "kv_cache_tokens", static_cast<std::int64_t>(spec.kv_cache_tokens));
  out += ",\"prefill_rate\":";
  append_json_double(out, spec.prefill_rate);
  append_text(out, "cache_type", spec.cache_type);
  append_text(out, "incarnation", spec.incarnation);
  append_flag(out, "tls", spec.tls);
  append_flag(out, "backup", spec.backup);
  append_flag(out, "models_stated", spec.models_stated);
  append_flag(out, "serving", spec.serving);
  append_flag(out, "lease_lapsed", spec.lease_lapsed);
  append_flag(out, "agent_on_next_port", spec.agent_on_next_port);
  out += ",\"models\":[";
  for (const std::string& model : spec.models) {
    if (out.back() != '[') out += ',';
    append_json_string(out, model);
  }
  out += "],\"metadata\":";
  out += spec.metadata_json;
  out += '}';
}

Result<UpstreamSpec> read_spec(const json& item, const std::string& path) {
  JsonReader reader(item, path);
  UpstreamSpec spec;
  for (const char* key : {"name", "host", "port", "url"}) reader.required(key);
  spec.serving = false;  // only what is true is written
  reader.text("name", spec.name, {1, wire::kMaxNameBytes});
  reader.text("host", spec.endpoint.host, {1, wire::kMaxHostBytes});
  reader.integer("port", spec.endpoint.port, 1, 65535);
  reader.text("url", spec.url, {1, 8192});
  reader.integer("weight", spec.weight, 0, wire::kMaxWeight);
  reader.integer("max_fails", spec.max_fails, 0, wire::kMaxMaxFails);
  std::int64_t fail_timeout = spec.fail_timeout.count();
  reader.integer("fail_timeout_ns", fail_timeout, 1, Duration(std::chrono::hours(24)).count());
  spec.fail_timeout = Duration(fail_timeout);
  reader.integer("max_concurrency", spec.max_concurrency, 0, 1'000'000);
  reader.integer("kv_cache_tokens", spec.kv_cache_tokens, 0, std::int64_t{1} << 62);
  reader.number("prefill_rate", spec.prefill_rate, 0, 1e18);
  reader.text("cache_type", spec.cache_type, {0, 16});
  reader.text("incarnation", spec.incarnation, {0, 4096, true});
  reader.flag("tls", spec.tls);
  reader.flag("backup", spec.backup);
  reader.flag("models_stated", spec.models_stated);
  reader.flag("serving", spec.serving);
  reader.flag("lease_lapsed", spec.lease_lapsed);
  reader.flag("agent_on_next_port", spec.agent_on_next_port);
  reader.text_list("models", spec.models, {1, wire::kMaxModelBytes, true}, wire::kMaxModels);
  if (const json* const metadata = reader.object("metadata")) {
    spec.metadata_json = metadata->dump(-1, ' ', false, json::error_handler_t::replace);
  }
  if (!reader.error() && !valid_host(spec.endpoint.host)) reader.fail("host", "is not valid");
  if (const auto error = reader.error()) return *error;
  return spec;
}

}  // namespace

std::string encode_view(const KeptView& view) {
  std::string out = "{";
  out.reserve(256 + view.specs.size() * 800);
  append_number(out, "version", kVersion);
  append_text(out, "registry_url", view.registry_url);
  append_number(out, "saved_at_us", view.saved_at_us);
  out += ",\"services\":[";
  for (const UpstreamSpec& spec : view.specs) {
    if (out.back() != '[') out += ",\n";
    append_spec(out, spec);
  }
  out += "]}\n";
  return out;
}

Result<KeptView> decode_view(std::string_view text) {
  const auto parsed = parse_json(text);
  if (!parsed) return parsed.error();
  JsonReader reader(*parsed, "");
  KeptView view;
  int version = 0;
  for (const char* key : {"version", "registry_url", "saved_at_us", "services"}) reader.required(key);
  reader.integer("version", version, 0, 1'000'000);
  reader.text("registry_url", view.registry_url, {0, 8192});
  reader.integer("saved_at_us", view.saved_at_us, 0, kMost);
  const json* const services = reader.array("services");
  if (const auto error = reader.error()) return *error;
  if (version != kVersion) return invalid("its version is " + std::to_string(version));
  view.specs.reserve(services->size());
  for (std::size_t i = 0; i < services->size(); ++i) {
    auto spec = read_spec((*services)[i], "services[" + std::to_string(i) + "]");
    if (!spec) return spec.error();
    view.specs.push_back(*std::move(spec));
  }
  return view;
}

}  // namespace svc::router
