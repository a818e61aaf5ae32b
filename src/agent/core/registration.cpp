#include "agent/core/registration.hpp"

#include <algorithm>
#include <array>
#include <functional>
#include <nlohmann/json.hpp>
#include <span>
#include <unordered_set>
#include <utility>

#include "common/core/duration_text.hpp"
#include "common/core/endpoint.hpp"
#include "common/core/http_url.hpp"
#include "common/core/json_reader.hpp"
#include "common/core/wire/metadata_rules.hpp"
#include "common/core/wire/registry_api.hpp"

namespace svc::agent {
namespace {

using nlohmann::json;
using namespace std::chrono_literals;

constexpr std::size_t kMaxLinesBytes = std::size_t{16} * 1024;  ///< of last_exit.last_lines, as JSON
constexpr std::size_t kLevelsAroundObject = 2;  ///< a model's object lies this much deeper when registered

std::string text_of_json(const json& value) { return value.dump(-1, ' ', false, json::error_handler_t::replace); }

std::size_t size_of(const json& value) { return text_of_json(value).size(); }

bool registrable(const std::string& id) {
  const auto is_control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; };
  return !id.empty() && id.size() <= wire::kMaxModelBytes && std::none_of(id.begin(), id.end(), is_control);
}

/// The id of an item of a model list; nullptr when it has none.
const std::string* id_of(const json& item) {
  const json* id = &item;
  if (item.is_object()) {
    const auto field = item.find("id");
    if (field == item.end()) return nullptr;
    id = &*field;
  }
  return id->get_ptr<const std::string*>();
}

const json* items_of(const json& answer) {
  if (answer.is_array()) return &answer;
  if (!answer.is_object()) return nullptr;
  const auto data = answer.find("data");
  return data != answer.end() && data->is_array() ? &*data : nullptr;
}

/// Takes members away, the largest first, until it fits; `kept` stay.
void shrink(json& metadata, std::span<const std::string_view> kept) {
  std::size_t size = size_of(metadata);
  if (size <= wire::kMaxMetadataBytes) return;
  std::vector<std::pair<std::size_t, std::string>> members;
  for (const auto& [key, value] : metadata.items()) {
    constexpr std::size_t kColonAndComma = 2;
    if (std::find(kept.begin(), kept.end(), key) == kept.end())
      members.emplace_back(size_of(json(key)) + size_of(value) + kColonAndComma, key);
  }
  std::sort(members.begin(), members.end(), std::greater<>());
  for (const auto& [bytes, key] : members) {
    if (size <= wire::kMaxMetadataBytes) return;
    metadata.erase(key);
    size -= bytes;
  }
}

/// What routers go by stays, unless the settings made that itself too large.
void fit(json& metadata) {
  constexpr std::array<std::string_view, 5> kNeeded = {"type", "parent_service", "babysitter", "models", "health_url"};
  shrink(metadata, kNeeded);
  shrink(metadata, {});
}

std::string url_of(const ServiceSettings& settings, std::uint16_t port, bool tls) {
  return (tls ? "https://" : "http://") + Endpoint{std::string(without_brackets(settings.host)), port}.to_string();
}

std::uint16_t pages_port(const ServiceSettings& settings) { return static_cast<std::uint16_t>(settings.port + 1U); }

/// What every registry needs, and what both entries have in common.
json entry(const ServiceSettings& settings, std::string name, std::uint16_t port, std::string url,
           const std::string& status) {
  json body = {{"name", std::move(name)},   {"host", settings.host}, {"port", port},
               {"hostname", settings.host}, {"url", std::move(url)}, {"status", status}};
  // Outside of these a registry of ours would refuse the whole registration.
  if (settings.heartbeat_interval >= 100ms && settings.heartbeat_interval <= 24h) {
    body["heartbeat_interval"] = format_duration(settings.heartbeat_interval);
  }
  return body;
}

json exit_facts(const ExitOutcome& outcome, const std::string& at) {
  json facts = {{"kind", word_of(outcome.kind)}, {"text", text_of(outcome)}};
  if (!at.empty()) facts["at"] = at;
  // From the newest back: the oldest are what is left out.
  std::vector<json> newest_first;
  std::size_t bytes = 0;
  for (auto line = outcome.last_lines.rbegin(); line != outcome.last_lines.rend(); ++line) {
    bytes += size_of(json(*line)) + 1;
    if (bytes > kMaxLinesBytes) break;
    newest_first.emplace_back(*line);
  }
  std::reverse(newest_first.begin(), newest_first.end());
  facts["last_lines"] = std::move(newest_first);
  return facts;
}

void add_balancing(const ServiceSettings& settings, json& body) {
  if (settings.weight_given) body["weight"] = settings.weight;
  if (settings.max_fails >= 0) body["max_fails"] = settings.max_fails;
  if (settings.fail_timeout > Duration::zero()) body["fail_timeout"] = format_duration(settings.fail_timeout);
  if (settings.backup) body["backup"] = true;
}

json engine_metadata(const ServiceSettings& settings, const InstanceFacts& facts, const ModelList& models) {
  json metadata = {{"type", wire::kTypeOpenAiApi},
                   {"parent_service", settings.name},
                   {"babysitter", "enhanced"},
                   {"models", models.ids}};
  const auto objects = parse_json(models.objects_json);
  if (objects && objects->is_array()) metadata["models_list"] = *objects;
  if (!facts.started_at.empty()) metadata["started_at"] = facts.started_at;
  const bool moved = facts.engine_port != 0 && facts.engine_port != settings.port;
  if (moved || settings.pages_tls) metadata["health_url"] = pages_url(settings) + "/health";
  const auto own = parse_json(settings.metadata_json, JsonLimits{wire::kMaxMetadataDepth});
  if (own && own->is_object()) metadata.update(*own);
  return metadata;
}

void fit_engine_metadata(json& metadata) {
  if (size_of(metadata) <= wire::kMaxMetadataBytes) return;
  // Routers make up a model's object from its id; our registry is told all ids outside of the metadata besides.
  metadata.erase("models_list");
  if (size_of(metadata) <= wire::kMaxMetadataBytes) return;
  json& models = metadata["models"];
  std::size_t bytes = size_of(models);
  while (bytes > wire::kMaxMetadataBytes / 2 && models.is_array() && !models.empty()) {
    bytes -= std::min(bytes, size_of(models.back()) + 1);
    models.erase(models.size() - 1);
  }
  fit(metadata);
}

}  // namespace

std::optional<ModelList> parse_model_list(std::string_view body) {
  const auto answer = parse_json(body, JsonLimits{wire::kMaxJsonDepth - kLevelsAroundObject});
  const json* items = answer ? items_of(*answer) : nullptr;
  if (items == nullptr) return std::nullopt;
  ModelList list;
  json objects = json::array();
  std::unordered_set<std::string_view> seen;
  for (const auto& item : *items) {
    const std::string* id = id_of(item);
    if (id == nullptr || !registrable(*id) || !seen.insert(*id).second) continue;
    list.ids.push_back(*id);
    objects.push_back(item.is_object() ? item : json{{"id", *id}, {"object", "model"}});
    if (list.ids.size() == wire::kMaxModels) break;
  }
  if (list.ids.empty()) return std::nullopt;
  list.objects_json = text_of_json(objects);
  return list;
}

std::string engine_entry_name(std::string_view name) { return std::string(name) + "-server"; }

std::string pages_url(const ServiceSettings& settings) {
  return url_of(settings, pages_port(settings), settings.pages_tls);
}

bool is_out_of_reach(const ServiceSettings& settings) {
  const auto registry = parse_http_url(settings.registry_url);
  return registry && !is_loopback_host(registry->endpoint.host) && is_loopback_host(settings.host);
}

std::string agent_registration(const ServiceSettings& settings, const InstanceFacts& facts) {
  json body = entry(settings, settings.name, pages_port(settings), pages_url(settings), facts.status);
  json metadata = {{"type", settings.service_type == wire::kTypeOpenAiApi ? "agent" : settings.service_type},
                   {"babysitter", "enhanced"},
                   {"state", facts.status},
                   {"restarts", facts.restarts}};
  if (!settings.path.empty()) metadata["config_file"] = settings.path;
  if (!facts.started_at.empty()) metadata["started_at"] = facts.started_at;
  if (facts.last_exit) metadata["last_exit"] = exit_facts(*facts.last_exit, facts.last_exit_at);
  fit(metadata);
  body["metadata"] = std::move(metadata);
  return text_of_json(body);
}

std::string engine_registration(const ServiceSettings& settings, const InstanceFacts& facts, const ModelList& models) {
  const std::uint16_t port = facts.engine_port != 0 ? facts.engine_port : settings.port;
  json body = entry(settings, engine_entry_name(settings.name), port, url_of(settings, port, false), facts.status);
  json metadata = engine_metadata(settings, facts, models);
  fit_engine_metadata(metadata);
  body["metadata"] = std::move(metadata);
  if (!models.ids.empty()) body["models"] = models.ids;
  add_balancing(settings, body);
  return text_of_json(body);
}

std::string heartbeat_body(std::string_view status, const InstanceLoad& load) {
  json body = {{"status", status}};
  const auto add = [&body](const char* name, const std::optional<std::uint64_t>& value) {
    if (value) body["load"][name] = *value;
  };
  add("in_flight", load.in_flight);
  add("queue", load.queue);
  add("open_connections", load.open_connections);
  add("rss_bytes", load.rss_bytes);
  add("gpu_memory_bytes", load.gpu_memory_bytes);
  return text_of_json(body);
}

std::string with_generation(std::string body, std::uint64_t generation) {
  body.pop_back();  // the brace: these objects are never empty
  return body + R"(,"generation":)" + std::to_string(generation) + "}";
}

std::optional<std::uint64_t> generation_in(std::string_view answer) {
  const auto parsed = parse_json(answer);
  if (!parsed || !parsed->is_object()) return std::nullopt;
  const auto service = parsed->find("service");  // of a registration
  const json& from = service != parsed->end() && service->is_object() ? *service : *parsed;
  const auto generation = from.find("generation");
  if (generation == from.end() || !generation->is_number_unsigned()) return std::nullopt;
  return generation->get<std::uint64_t>();
}

}  // namespace svc::agent
