// Static services, out of a configuration file: the strict side of service_record.hpp.
#include <array>
#include <nlohmann/json.hpp>

#include "common/core/http_url.hpp"
#include "common/core/json_reader.hpp"
#include "common/core/wire/registry_api.hpp"
#include "router/core/service_metadata.hpp"
#include "router/core/service_record.hpp"

namespace svc::router {
namespace {

using nlohmann::json;

constexpr std::array<std::string_view, 11> kKeys{"name",   "host", "port", "weight", "max_fails", "fail_timeout",
                                                 "backup", "tls",  "url",  "models", "metadata"};
constexpr TextLimits kModelName{1, wire::kMaxModelBytes};

bool is_comment(std::string_view key) { return key.starts_with('_') || key.starts_with('$'); }

void check_keys(JsonReader& reader, const json& item) {
  std::vector<std::string_view> keys(kKeys.begin(), kKeys.end());
  for (const auto& entry : item.items()) {
    if (is_comment(entry.key())) keys.push_back(entry.key());
  }
  reader.known(keys);
}

/// metadata is free, but the keys that the router acts on must be what they seem.
void check_metadata(JsonReader& reader, const json& metadata, UpstreamSpec& spec) {
  JsonReader inner(metadata, reader.path_of("metadata"));
  bool is_static = false;
  std::string model;
  std::vector<std::string> models;
  inner.flag("backup", spec.backup);
  inner.flag("static", is_static);
  inner.text("model", model, kModelName);
  inner.text_list("models", models, kModelName, wire::kMaxModels);
  if (const auto error = inner.error()) reader.adopt(*error);
}

Result<UpstreamSpec> read_item(const json& item, const std::string& path, std::size_t number, bool& weighted) {
  JsonReader reader(item, path);
  UpstreamSpec spec;
  spec.from_config = true;
  spec.pinned = true;
  spec.name = "service_" + std::to_string(number);
  if (!item.is_object()) return *reader.error();
  reader.required("host");
  reader.required("port");
  std::string host;
  std::uint16_t port = 0;
  std::string url;
  reader.text("name", spec.name, {1, wire::kMaxNameBytes});
  reader.text("host", host, {1, wire::kMaxHostBytes});
  reader.integer("port", port, 1, 65535);
  weighted = reader.integer("weight", spec.weight, 0, wire::kMaxWeight) && spec.weight > 0;
  reader.integer("max_fails", spec.max_fails, 0, wire::kMaxMaxFails);
  reader.duration("fail_timeout", spec.fail_timeout, std::chrono::milliseconds(1), std::chrono::hours(24));
  reader.flag("tls", spec.tls);
  reader.text("url", url, {1, wire::kMaxFieldBytes});
  reader.text_list("models", spec.models, kModelName, wire::kMaxModels);
  const json* const metadata = reader.object("metadata");
  if (metadata != nullptr) check_metadata(reader, *metadata, spec);
  reader.flag("backup", spec.backup);  // says it more plainly than metadata does
  check_keys(reader, item);
  if (!url.empty()) {
    if (const auto parsed = parse_http_url(url); !parsed) {
      reader.fail("url", "is not usable: " + parsed.error().to_string());
    } else if (spec.tls && !parsed->tls) {
      reader.fail("url", "must begin with https:// when tls is true");
    }
  }
  if (const auto error = reader.error()) return *error;
  if (!take_address(spec, host, port, url)) {
    reader.fail("host", "must be a DNS name, an IPv4 or an IPv6 address");
    return *reader.error();
  }
  const std::vector<std::string> stated = spec.models;
  if (metadata != nullptr) take_metadata(spec, *metadata);
  // Unlike a registry's, this list is the operator's own.
  if (!stated.empty()) spec.models = stated;
  spec.models_stated = spec.models_stated || !stated.empty();
  return spec;
}

}  // namespace

const json* find_static_services(const json& file) {
  if (file.is_array()) return &file;
  if (!file.is_object()) return nullptr;
  if (const auto section = file.find("static_services"); section != file.end()) {
    if (section->is_array()) return &*section;
    if (!section->is_object()) return nullptr;
    const auto inner = section->find("services");
    return inner != section->end() && inner->is_array() ? &*inner : nullptr;
  }
  const auto services = file.find("services");
  return services != file.end() && services->is_array() ? &*services : nullptr;
}

Result<StaticServices> read_static_services(const json& services, const std::string& path) {
  StaticServices read;
  for (std::size_t i = 0; i < services.size(); ++i) {
    bool weighted = false;
    auto spec = read_item(services[i], path + "[" + std::to_string(i) + "]", i + 1, weighted);
    if (!spec) return spec.error();
    for (const UpstreamSpec& known : read.specs) {
      if (known.name != spec->name) continue;
      return invalid("'" + path + "' has two services of the name '" + spec->name + "'");
    }
    if (!weighted) read.without_weight.push_back(spec->name);
    read.specs.push_back(*std::move(spec));
  }
  return read;
}

}  // namespace svc::router
