#include "router/core/model_list.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "common/core/json_reader.hpp"

namespace svc::router {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

constexpr std::size_t kMaxListed = 1000;
constexpr std::size_t kMaxModelBytes = 512;

using Objects = std::map<std::string, ordered_json, std::less<>>;

std::string text_of(const ordered_json& value) {
  return value.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

/// Full objects keep the order of their fields. Metadata was checked when it was taken in: what does not parse has
/// none.
void take_objects(std::string_view metadata, Objects& objects) {
  const auto parsed = ordered_json::parse(metadata, nullptr, false);
  const auto list = parsed.is_object() ? parsed.find("models_list") : parsed.end();
  if (!parsed.is_object() || list == parsed.end() || !list->is_array()) return;
  for (const auto& object : *list) {
    if (!object.is_object()) continue;
    const auto id = object.find("id");
    if (id != object.end() && id->is_string()) objects.try_emplace(id->get<std::string>(), object);
  }
}

ordered_json made_up(const std::string& id, std::int64_t created) {
  return {{"id", id}, {"object", "model"}, {"created", created}, {"owned_by", "infinilm"}};
}

}  // namespace

std::vector<ModelEntry> merge_models(std::span<const ModelSource> sources,
                                     const std::map<std::string, std::string, std::less<>>& aliases,
                                     std::int64_t created) {
  Objects objects;
  for (const auto& source : sources) {
    if (source.metadata_json.find("models_list") != std::string_view::npos) {
      take_objects(source.metadata_json, objects);
    }
  }
  for (const auto& source : sources) {
    for (const auto& id : source.models) {
      if (!objects.contains(id)) objects.emplace(id, made_up(id, created));
    }
  }
  for (const auto& [alias, model] : aliases) {
    const auto found = objects.find(model);
    if (found == objects.end() || objects.contains(alias)) continue;
    ordered_json object = found->second;
    object["id"] = alias;
    object["root"] = model;
    objects.emplace(alias, std::move(object));
  }
  std::vector<ModelEntry> entries;
  entries.reserve(objects.size());
  for (const auto& [id, object] : objects) entries.push_back({id, text_of(object)});
  return entries;
}

std::string model_list_json(std::span<const ModelEntry> models) {
  std::string out = R"({"object":"list","data":[)";
  for (const auto& model : models) {
    if (out.back() != '[') out += ',';
    out += model.json;
  }
  out += "]}";
  return out;
}

std::vector<std::string> parse_model_ids(std::string_view body) {
  std::vector<std::string> ids;
  const auto parsed = parse_json(body);
  if (!parsed) return ids;
  const json* list = &*parsed;
  if (list->is_object()) {
    const auto data = list->find("data");
    if (data == list->end()) return ids;
    list = &*data;
  }
  if (!list->is_array()) return ids;
  for (const auto& item : *list) {
    const json* id = &item;
    if (item.is_object()) {
      const auto field = item.find("id");
      if (field == item.end()) continue;
      id = &*field;
    }
    if (!id->is_string()) continue;
    auto text = id->get<std::string>();
    if (text.empty() || text.size() > kMaxModelBytes || ids.size() >= kMaxListed) continue;
    if (std::find(ids.begin(), ids.end(), text) == ids.end()) ids.push_back(std::move(text));
  }
  return ids;
}

}  // namespace svc::router
