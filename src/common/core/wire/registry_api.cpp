#include "common/core/wire/registry_api.hpp"

#include <array>
#include <chrono>
#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

#include "common/core/address_policy.hpp"
#include "common/core/http_url.hpp"
#include "common/core/json_reader.hpp"
#include "common/core/json_text.hpp"
#include "common/core/time_text.hpp"

namespace svc::wire {

namespace {

using nlohmann::json;

constexpr std::array<std::string_view, 6> kRequired = {"name", "host", "port", "hostname", "url", "status"};

std::string rule_got(std::string_view rule, std::string_view got) {
  constexpr std::size_t kShown = 100;
  std::string text(rule);
  text += ", got ";
  append_json_string(text, valid_utf8(got.substr(0, kShown)));
  return text;
}

Result<json> parse_object(std::string_view body) {
  auto parsed = parse_json(body, JsonLimits{kMaxJsonDepth});
  if (!parsed) {
    Error error = invalid("Invalid JSON");
    error.cause = parsed.error().message;
    return error;
  }
  if (!parsed->is_object()) {
    Error error = invalid("Invalid JSON");
    error.cause = std::string("expected an object, got ") + parsed->type_name();
    return error;
  }
  return parsed;
}

/// Earlier clients send ports as text too.
void normalise_port(json& body) {
  const auto found = body.find("port");
  if (found == body.end() || !found->is_string()) return;
  std::uint16_t port = 0;
  if (parse_port(found->get_ref<const std::string&>(), port)) *found = port;
}

/// Earlier registries took any value.
void normalise_timestamp(json& body) {
  const auto found = body.find("timestamp");
  if (found != body.end() && found->is_number()) *found = found->dump();
}

template <class T>
void read_integer(JsonReader& reader, std::string_view key, std::optional<T>& target, std::int64_t lo,
                  std::int64_t hi) {
  T value{};
  if (reader.integer(key, value, lo, hi)) target = value;
}

void read_duration(JsonReader& reader, std::string_view key, std::optional<Duration>& target, Duration lo,
                   Duration hi) {
  Duration value{};
  if (reader.duration(key, value, lo, hi)) target = value;
}

void read_text(JsonReader& reader, std::string_view key, std::optional<std::string>& target, std::size_t max) {
  std::string value;
  if (reader.text(key, value, TextLimits{1, max})) target = std::move(value);
}

void check_url(JsonReader& reader, std::string_view key, const std::string& url) {
  if (const auto problem = url_problem(url)) reader.fail(key, *problem);
}

void read_metadata(const json& body, JsonReader& reader, std::optional<std::string>& target) {
  const auto found = body.find("metadata");
  if (found == body.end()) return;
  if (found->is_null()) {
    target = "{}";
    return;
  }
  const json* metadata = reader.object("metadata");
  if (metadata == nullptr) return;
  std::string text = metadata->dump(-1, ' ', false, json::error_handler_t::replace);
  if (text.size() > kMaxMetadataBytes) {
    reader.fail("metadata", "must be at most " + std::to_string(kMaxMetadataBytes) + " bytes of JSON, got " +
                                std::to_string(text.size()));
    return;
  }
  const auto health_url = metadata->find("health_url");
  if (health_url != metadata->end() && health_url->is_string()) {
    check_url(reader, "metadata.health_url", health_url->get_ref<const std::string&>());
  } else if (health_url != metadata->end() && !health_url->is_null()) {
    reader.fail("metadata.health_url", "must be a string");
  }
  target = std::move(text);
}

/// Every field that a registration and an update have in common.
ServicePatch read_fields(const json& body, JsonReader& reader) {
  using std::chrono::hours;
  using std::chrono::milliseconds;
  using std::chrono::seconds;
  ServicePatch patch;
  read_text(reader, "host", patch.host, kMaxHostBytes);
  if (patch.host && (!valid_host(*patch.host) || looks_like_odd_ipv4(*patch.host))) {
    reader.fail("host", rule_got("must be a host name or an IP address", *patch.host));
  }
  read_integer(reader, "port", patch.port, 1, std::numeric_limits<std::uint16_t>::max());
  read_text(reader, "hostname", patch.hostname, kMaxFieldBytes);
  read_text(reader, "url", patch.url, kMaxFieldBytes);
  if (patch.url) check_url(reader, "url", *patch.url);
  read_text(reader, "status", patch.status, kMaxStatusBytes);
  read_metadata(body, reader, patch.metadata_json);
  read_integer(reader, "weight", patch.weight, 0, kMaxWeight);
  read_integer(reader, "max_fails", patch.max_fails, 0, kMaxMaxFails);
  read_duration(reader, "fail_timeout", patch.fail_timeout, milliseconds(1), hours(24));
  if (bool backup = false; reader.flag("backup", backup)) patch.backup = backup;
  if (std::vector<std::string> models; reader.text_list("models", models, TextLimits{1, kMaxModelBytes}, kMaxModels)) {
    patch.models = std::move(models);
  }
  read_duration(reader, "heartbeat_interval", patch.heartbeat_interval, milliseconds(100), hours(24));
  read_duration(reader, "remove_after", patch.remove_after, seconds(1), hours(24 * 30));
  read_integer(reader, "generation", patch.generation, 0, std::numeric_limits<std::int64_t>::max());
  return patch;
}

}  // namespace

bool ServicePatch::empty() const {
  return !host && !hostname && !url && !status && !metadata_json && !port && !weight && !max_fails && !fail_timeout &&
         !heartbeat_interval && !remove_after && !backup && !models;
}

ServiceSpec patched(ServiceSpec spec, const ServicePatch& patch) {
  if (patch.host) spec.host = *patch.host;
  if (patch.hostname) spec.hostname = *patch.hostname;
  if (patch.url) spec.url = *patch.url;
  if (patch.status) spec.status = *patch.status;
  if (patch.metadata_json) spec.metadata_json = *patch.metadata_json;
  if (patch.port) spec.port = *patch.port;
  if (patch.weight) spec.weight = *patch.weight;
  if (patch.max_fails) {
    spec.max_fails = *patch.max_fails;
    spec.max_fails_given = true;
  }
  if (patch.fail_timeout) spec.fail_timeout = *patch.fail_timeout;
  if (patch.heartbeat_interval) spec.heartbeat_interval = patch.heartbeat_interval;
  if (patch.remove_after) spec.remove_after = patch.remove_after;
  if (patch.backup) spec.backup = *patch.backup;
  if (patch.models) spec.models = *patch.models;
  return spec;
}

std::optional<std::string> url_problem(std::string_view url) {
  if (url.size() <= kMaxFieldBytes && parse_http_url(url)) return std::nullopt;
  return rule_got("must be an http or https URL of at most " + std::to_string(kMaxFieldBytes) + " bytes", url);
}

Endpoint endpoint_of(const ServiceSpec& spec) { return {std::string(without_brackets(spec.host)), spec.port}; }

Result<ServiceSpec> parse_registration(std::string_view body, WallTime now, std::optional<std::uint64_t>* generation) {
  auto parsed = parse_object(body);
  if (!parsed) return parsed.error();
  normalise_port(*parsed);
  normalise_timestamp(*parsed);
  JsonReader reader(*parsed, "");
  for (const auto key : kRequired) reader.required(key);

  ServiceSpec spec;
  reader.text("name", spec.name, TextLimits{1, kMaxNameBytes});
  const ServicePatch fields = read_fields(*parsed, reader);
  reader.text("timestamp", spec.timestamp, TextLimits{0, kMaxTimestampBytes});
  if (auto error = reader.error()) return *std::move(error);
  if (spec.timestamp.empty()) spec.timestamp = iso8601(now);
  if (generation != nullptr) *generation = fields.generation;
  return patched(std::move(spec), fields);
}

Result<ServicePatch> parse_update(std::string_view body) {
  auto parsed = parse_object(body);
  if (!parsed) return parsed.error();
  normalise_port(*parsed);
  JsonReader reader(*parsed, "");
  ServicePatch patch = read_fields(*parsed, reader);
  if (auto error = reader.error()) return *std::move(error);
  return patch;
}

HeartbeatRequest parse_heartbeat(std::string_view body) {
  HeartbeatRequest request;
  if (body.empty()) return request;
  const auto parsed = parse_json(body, JsonLimits{kMaxJsonDepth});
  if (!parsed || !parsed->is_object()) return request;
  // One reader per field: an unusable field must not take the other one with it.
  JsonReader status_reader(*parsed, "");
  read_text(status_reader, "status", request.status, kMaxStatusBytes);
  const auto generation = parsed->find("generation");
  if (generation != parsed->end() && generation->is_number_unsigned()) {
    request.generation = generation->get<std::uint64_t>();
  }
  return request;
}

}  // namespace svc::wire
