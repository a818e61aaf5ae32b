// The parts of registry_api.hpp that print and store a service, and that read its metadata.
#include <chrono>
#include <nlohmann/json.hpp>
#include <utility>

#include "common/core/duration_text.hpp"
#include "common/core/json_reader.hpp"
#include "common/core/json_text.hpp"
#include "common/core/wire/registry_api.hpp"

namespace svc::wire {

namespace {

using nlohmann::json;

constexpr int kSpecVersion = 1;

std::string text_at(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

std::vector<std::string> models_in(const json& metadata) {
  std::vector<std::string> models;
  const auto add = [&models](const json& id) {
    if (id.is_string() && models.size() < kMaxModels) models.push_back(id.get<std::string>());
  };
  if (const auto list = metadata.find("models"); list != metadata.end() && list->is_array()) {
    for (const auto& item : *list) add(item);
  }
  if (!models.empty()) return models;
  if (const auto list = metadata.find("models_list"); list != metadata.end() && list->is_array()) {
    for (const auto& item : *list) {
      if (const auto id = item.is_object() ? item.find("id") : item.end(); id != item.end()) add(*id);
    }
  }
  return models;
}

/// Reads the fields of a stored spec; the first one of an unexpected kind is reported.
class StoredFields {
 public:
  explicit StoredFields(const json& object) : object_(object) {}

  void text(const char* key, std::string& target) {
    if (const json* value = at(key, &json::is_string)) target = value->get<std::string>();
  }
  void flag(const char* key, bool& target) {
    if (const json* value = at(key, &json::is_boolean)) target = value->get<bool>();
  }
  void integer(const char* key, std::int64_t& target) {
    if (const json* value = at(key, &json::is_number_integer)) target = value->get<std::int64_t>();
  }
  void port(const char* key, std::uint16_t& target) {
    std::int64_t value = 0;
    integer(key, value);
    if (value < 1 || value > 65535) return fail(key);
    target = static_cast<std::uint16_t>(value);
  }
  void duration(const char* key, Duration& target) {
    std::int64_t value = target.count();
    integer(key, value);
    // Nothing longer was ever accepted, and sums with it could overflow.
    if (value < 0 || Duration(value) > std::chrono::hours(24 * 366)) return fail(key);
    target = Duration(value);
  }
  void optional_duration(const char* key, std::optional<Duration>& target) {
    if (!object_.contains(key)) return;
    target.emplace();
    duration(key, *target);
  }
  void text_list(const char* key, std::vector<std::string>& target) {
    const json* value = at(key, &json::is_array);
    if (value == nullptr) return;
    for (const auto& item : *value) {
      if (!item.is_string()) return fail(key);
      target.push_back(item.get<std::string>());
    }
  }

  void fail(std::string_view key) {
    if (bad_.empty()) bad_ = key;
  }
  const std::string& bad() const { return bad_; }

 private:
  const json* at(const char* key, bool (json::*is_expected)() const noexcept) {
    const auto found = object_.find(key);
    if (found == object_.end()) return nullptr;
    if (((*found).*is_expected)()) return &*found;
    fail(key);
    return nullptr;
  }

  const json& object_;
  std::string bad_;
};

/// Metadata is printed into answers as it is, so it must really be an object: the parser alone would also take a byte
/// order mark before it, and anything after a NUL.
bool printable_object(std::string_view text) {
  return text.starts_with('{') && text.find('\0') == std::string_view::npos && json::accept(text);
}

void append_field(std::string& out, std::string_view key, std::string_view value) {
  out += out.size() == 1 ? "\"" : ",\"";
  out += key;
  out += "\":";
  append_json_string(out, value);
}

void append_number(std::string& out, std::string_view key, std::int64_t value) {
  out += ",\"";
  out += key;
  out += "\":";
  append_json_int(out, value);
}

}  // namespace

MetadataFacts facts_of(std::string_view metadata_json) {
  MetadataFacts facts;
  const json metadata = json::parse(metadata_json, nullptr, false);
  if (!metadata.is_object()) return facts;
  facts.type = text_at(metadata, "type");
  facts.health_url = text_at(metadata, "health_url");
  facts.models = models_in(metadata);
  return facts;
}

std::optional<std::string> name_problem(std::string_view name) {
  // The same words as JsonReader's, which reads the name of a registration.
  if (name.empty()) return "'name' must not be empty";
  if (name.size() > kMaxNameBytes) {
    return "'name' must be a string of 1 to " + std::to_string(kMaxNameBytes) + " bytes, got " +
           std::to_string(name.size()) + " bytes";
  }
  for (const char c : name) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) return "'name' must not have control characters";
  }
  if (valid_utf8(name) != name) return "'name' must be UTF-8 text";
  return std::nullopt;
}

std::string static_service_json(const ServiceSpec& spec, const MetadataFacts& facts) {
  std::string out = "{";
  out.reserve(320 + spec.metadata_json.size());
  append_field(out, "name", spec.name);
  append_field(out, "host", spec.host);
  append_number(out, "port", spec.port);
  append_field(out, "hostname", spec.hostname);
  append_field(out, "url", spec.url);
  append_field(out, "status", spec.status);
  append_field(out, "timestamp", spec.timestamp);
  out += ",\"metadata\":";
  out += spec.metadata_json;
  append_number(out, "weight", spec.weight);
  append_number(out, "max_fails", spec.max_fails);
  append_field(out, "fail_timeout", format_duration(spec.fail_timeout));
  out += ",\"backup\":";
  append_json_bool(out, spec.backup);
  out += ",\"models\":[";
  bool first = true;
  for (const auto& model : models_of(spec, facts)) {
    if (!std::exchange(first, false)) out += ',';
    append_json_string(out, model);
  }
  out += ']';
  out.shrink_to_fit();
  return out;
}

std::string encode_spec(const ServiceSpec& spec) {
  json object = {{"v", kSpecVersion},
                 {"name", spec.name},
                 {"host", spec.host},
                 {"port", spec.port},
                 {"hostname", spec.hostname},
                 {"url", spec.url},
                 {"status", spec.status},
                 {"timestamp", spec.timestamp},
                 {"metadata", spec.metadata_json},
                 {"weight", spec.weight},
                 {"max_fails", spec.max_fails},
                 {"max_fails_given", spec.max_fails_given},
                 {"fail_timeout_ns", spec.fail_timeout.count()},
                 {"backup", spec.backup},
                 {"models", spec.models}};
  if (spec.heartbeat_interval) object["heartbeat_interval_ns"] = spec.heartbeat_interval->count();
  if (spec.remove_after) object["remove_after_ns"] = spec.remove_after->count();
  return object.dump(-1, ' ', false, json::error_handler_t::replace);
}

Result<ServiceSpec> decode_spec(std::string_view text) {
  const auto parsed = parse_json(text, JsonLimits{kMaxJsonDepth});
  if (!parsed) return invalid("the stored service is not readable: " + parsed.error().message);
  if (!parsed->is_object()) return invalid("the stored service is not readable: it is no JSON object");
  const auto version = parsed->find("v");
  if (version == parsed->end() || *version != kSpecVersion) {
    return invalid("the stored service is not readable: its version is not " + std::to_string(kSpecVersion));
  }

  StoredFields fields(*parsed);
  ServiceSpec spec;
  fields.text("name", spec.name);
  fields.text("host", spec.host);
  fields.port("port", spec.port);
  fields.text("hostname", spec.hostname);
  fields.text("url", spec.url);
  fields.text("status", spec.status);
  fields.text("timestamp", spec.timestamp);
  fields.text("metadata", spec.metadata_json);
  fields.integer("weight", spec.weight);
  fields.integer("max_fails", spec.max_fails);
  fields.flag("max_fails_given", spec.max_fails_given);
  fields.duration("fail_timeout_ns", spec.fail_timeout);
  fields.flag("backup", spec.backup);
  fields.text_list("models", spec.models);
  fields.optional_duration("heartbeat_interval_ns", spec.heartbeat_interval);
  fields.optional_duration("remove_after_ns", spec.remove_after);
  if (name_problem(spec.name)) fields.fail("name");
  if (!printable_object(spec.metadata_json)) fields.fail("metadata");
  if (!fields.bad().empty()) return invalid("the stored service is not readable: field '" + fields.bad() + "'");
  return spec;
}

}  // namespace svc::wire
