// The registry's side of service_record.hpp.
#include "router/core/service_record.hpp"

#include <nlohmann/json.hpp>

#include "common/core/duration_text.hpp"
#include "common/core/json_reader.hpp"
#include "common/core/json_text.hpp"
#include "common/core/wire/registry_api.hpp"
#include "router/core/service_metadata.hpp"

namespace svc::router {
namespace {

using nlohmann::json;

const json kNoMetadata = json::object();

const json& metadata_of(const json& entry) {
  const auto found = entry.find("metadata");
  return found != entry.end() && found->is_object() ? *found : kNoMetadata;
}

bool flag_at(const json& entry, const char* key, bool otherwise) {
  const auto found = entry.find(key);
  return found != entry.end() && found->is_boolean() ? found->get<bool>() : otherwise;
}

Duration fail_timeout_of(const json& entry, Duration otherwise) {
  const auto found = entry.find("fail_timeout");
  if (found == entry.end()) return otherwise;
  auto read = found->is_number()   ? duration_from_seconds(found->get<double>())
              : found->is_string() ? parse_duration(found->get_ref<const std::string&>())
                                   : Result<Duration>(otherwise);
  return read && *read > Duration::zero() && *read <= std::chrono::hours(24) ? *read : otherwise;
}

/// Our registry counts registrations of a name. The original agents say when they began.
std::string incarnation_of(const json& entry, const json& metadata) {
  if (const auto found = entry.find("generation"); found != entry.end() && found->is_number_integer()) {
    return "g" + found->dump();
  }
  const auto started = metadata.find("started_at");
  if (started == metadata.end()) return "";
  return started->is_string() ? started->get<std::string>() : started->dump();
}

/// Does the entry offer an OpenAI API? Agents register themselves too, with a type of their own, "for management".
bool takes_requests(const UpstreamSpec& spec, const json& metadata) {
  const auto type = metadata.find("type");
  if (type == metadata.end() || type->is_null()) return !spec.models.empty();
  return type->is_string() && type->get_ref<const std::string&>() == wire::kTypeOpenAiApi;
}

void take_state(UpstreamSpec& spec, const json& entry) {
  const auto status = entry.find("status");
  const bool running = status == entry.end() || status->is_null() ||
                       (status->is_string() && status->get_ref<const std::string&>() == wire::kStatusRunning);
  const bool healthy = flag_at(entry, "is_healthy", true);
  // health_status alone says nothing here: the original registries probe where no agent need be, and list such services
  // as healthy all the same.
  spec.serving = running && healthy;
  spec.lease_lapsed = running && !healthy && text_at(entry, "health_status") != "unhealthy";
}

void note_unreadable(RegistryAnswer& answer, const Error& error) {
  if (answer.unreadable++ == 0) answer.unreadable_reason = error.to_string();
}

void read_list(RegistryAnswer& answer, const json& services) {
  answer.is_list = true;
  answer.specs.reserve(services.size());
  for (const json& entry : services) {
    auto record = read_service_record(entry);
    if (!record) {
      note_unreadable(answer, record.error());
    } else if (record->spec) {
      answer.specs.push_back(*std::move(record->spec));
    }
  }
}

Result<void> read_changes(RegistryAnswer& answer, const json& changes) {
  for (const json& item : changes) {
    const auto revision = item.is_object() ? item.find("revision") : item.end();
    RegistryAnswer::Change change;
    if (item.is_object()) change.name = text_at(item, "name");
    if (change.name.empty() || revision == item.end() || !revision->is_number_unsigned()) {
      return protocol_error("the registry sent a change without name or revision");
    }
    change.revision = revision->get<std::uint64_t>();
    if (const auto service = item.find("service"); service != item.end()) {
      change.tells = true;
      if (!service->is_null()) {
        auto record = read_service_record(*service);
        if (record) {
          change.spec = std::move(record->spec);
        } else {
          note_unreadable(answer, record.error());
        }
      }
    }
    answer.changes.push_back(std::move(change));
  }
  return {};
}

}  // namespace

Result<ServiceRecord> read_service_record(const json& entry) {
  if (!entry.is_object()) return invalid("an entry is no object");
  UpstreamSpec spec;
  spec.name = text_at(entry, "name");
  if (const auto problem = wire::name_problem(spec.name)) return invalid(*problem);
  const auto port = whole_at(entry, "port", 1, 65535);
  if (!port) return invalid("service '" + spec.name + "' has no usable port");
  const std::string host = text_at(entry, "host");
  if (!take_address(spec, host, static_cast<std::uint16_t>(*port), text_at(entry, "url"))) {
    return invalid("service '" + spec.name + "' has no usable host: '" + valid_utf8(host.substr(0, 100)) + "'");
  }
  const json& metadata = metadata_of(entry);
  spec.weight = whole_at(entry, "weight", 0, wire::kMaxWeight).value_or(spec.weight);
  spec.max_fails = whole_at(entry, "max_fails", 0, wire::kMaxMaxFails).value_or(spec.max_fails);
  spec.fail_timeout = fail_timeout_of(entry, spec.fail_timeout);
  spec.backup = flag_at(entry, "backup", false) || flag_at(metadata, "backup", false);
  spec.models = names_at(entry, "models");
  take_metadata(spec, metadata);
  spec.incarnation = incarnation_of(entry, metadata);
  take_state(spec, entry);
  ServiceRecord record{spec.name, std::nullopt};
  if (takes_requests(spec, metadata)) record.spec = std::move(spec);
  return record;
}

Result<RegistryAnswer> read_registry_answer(std::string_view body) {
  const auto parsed = parse_json(body);
  if (!parsed) return protocol_error("the registry's answer cannot be read", parsed.error().to_string());
  if (!parsed->is_object()) return protocol_error("the registry's answer is no JSON object");
  RegistryAnswer answer;
  if (const auto revision = parsed->find("revision"); revision != parsed->end() && revision->is_number_unsigned()) {
    answer.revision = revision->get<std::uint64_t>();
  }
  answer.epoch = text_at(*parsed, "epoch");
  answer.warming = flag_at(*parsed, "warming", false);
  const auto services = parsed->find("services");
  const auto changes = parsed->find("changes");
  if (services != parsed->end() && services->is_array()) {
    read_list(answer, *services);
  } else if (changes != parsed->end() && changes->is_array()) {
    if (auto read = read_changes(answer, *changes); !read) return read.error();
  } else {
    return protocol_error("the registry's answer has no list of services");
  }
  return answer;
}

}  // namespace svc::router
