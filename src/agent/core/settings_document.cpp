#include "agent/core/settings_document.hpp"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <vector>

#include "agent/core/service_settings.hpp"
#include "common/core/header_rules.hpp"
#include "common/core/json_reader.hpp"

namespace svc::agent {
namespace {

using nlohmann::json;
using Names = std::span<const std::string_view>;

constexpr std::array<std::string_view, 5> kTop{"name", "host", "port", "registry_url", "router_url"};
constexpr std::array<std::string_view, 4> kTables{"babysitter", "backend", "metadata", "agent"};
constexpr std::array<std::string_view, 3> kBabysitter{"max_restarts", "restart_delay", "heartbeat_interval"};
constexpr std::array<std::string_view, 5> kBackend{"command", "args", "work_dir", "env", "path"};

/// What a kind calls its model, besides "path".
Names model_keys(EngineKind kind) {
  static constexpr std::string_view kModelPath[] = {"model_path", "model"};
  static constexpr std::string_view kModel[] = {"model", "model_path"};
  static constexpr std::string_view kConfigFile[] = {"config_file"};
  switch (kind) {
    case EngineKind::command:
    case EngineKind::sim: return {};
    case EngineKind::infinilm: return kModelPath;
    case EngineKind::infinilm_rust: return kConfigFile;
    case EngineKind::vllm:
    case EngineKind::sglang:
    case EngineKind::llama_cpp: return kModel;
  }
  return {};
}

bool is_toml(std::string_view path) {
  constexpr std::string_view kEnding = ".toml";
  return path.size() > kEnding.size() && equal_ignoring_case(path.substr(path.size() - kEnding.size()), kEnding);
}

/// A table for each model and nothing else. None of the words of an agent's file, and at least one path of a model, so that
/// a mistyped [backend] is not taken for a model.
bool is_engine_file(const json& file) {
  bool path = false;
  for (const auto& item : file.items()) {
    if (!item.value().is_object()) return false;
    if (std::find(kTables.begin(), kTables.end(), item.key()) != kTables.end()) return false;
    path = path || item.value().contains("path");
  }
  return path;
}

class FlatFile {
 public:
  FlatFile(const json& file, OptionTable::KeyPlaces& places) : file_(file), places_(places) {}

  /// nullopt: all is well, and `sections` is the result.
  std::optional<Error> read(json& sections) {
    JsonReader top(file_, "");
    std::vector<std::string_view> known(kTop.begin(), kTop.end());
    known.insert(known.end(), kTables.begin(), kTables.end());
    top.known(known);
    if (const json* const own = top.object("agent")) agent_ = *own;
    move(file_, kTop, "");
    if (const json* const table = top.object("babysitter")) read_babysitter(*table);
    if (const json* const table = top.object("backend")) read_backend(*table);
    sections = {{"agent", std::move(agent_)}};
    if (const json* const metadata = top.object("metadata")) sections["metadata"] = *metadata;
    return top.error() ? top.error() : error_;
  }

 private:
  void keep(Error error) {
    if (!error_) error_ = std::move(error);
  }

  void read_babysitter(const json& table) {
    JsonReader reader(table, "babysitter");
    reader.known(kBabysitter);
    if (auto error = reader.error()) return keep(*std::move(error));
    move(table, kBabysitter, "babysitter.");
  }

  void read_backend(const json& table) {
    JsonReader reader(table, "backend");
    std::string type;
    EngineKind kind{};
    reader.required("type");
    if (reader.text("type", type) && !parse_engine_kind(type, kind)) reader.fail("type", unknown_engine_kind(type));
    const Names model = model_keys(kind);
    std::vector<std::string_view> known(kBackend.begin(), kBackend.end());
    known.insert(known.end(), model.begin(), model.end());
    if (kind == EngineKind::sim) known.emplace_back("models");
    const std::vector<std::string_view> moved = known;
    known.emplace_back("type");
    reader.known(known);
    if (auto error = reader.error()) return keep(*std::move(error));
    put("service_type", type, "backend.type");
    move(table, moved, "backend.");
  }

  /// The keys of a table become settings: those for the model the setting "path", the others the one of the same name.
  void move(const json& table, Names keys, const std::string& prefix) {
    constexpr std::array<std::string_view, 3> kModels{"model", "model_path", "config_file"};
    for (const std::string_view key : keys) {
      const auto value = table.find(key);
      if (value == table.end()) continue;
      const bool model = std::find(kModels.begin(), kModels.end(), key) != kModels.end();
      put(model ? "path" : std::string(key), *value, prefix + std::string(key));
    }
  }

  void put(const std::string& key, const json& value, const std::string& place) {
    if (agent_.contains(key)) {
      const auto other = places_.find(key);
      return keep(invalid("'" + (other == places_.end() ? "agent." + key : other->second) + "' and '" + place +
                          "' say the same thing"));
    }
    agent_[key] = value;
    places_[key] = place;
  }

  const json& file_;
  OptionTable::KeyPlaces& places_;
  json agent_ = json::object();
  std::optional<Error> error_;
};

}  // namespace

Result<void> to_agent_sections(json& file, const std::string& path, OptionTable::KeyPlaces& places) {
  if (!is_toml(path)) return {};
  if (is_engine_file(file)) {
    file = {{"agent", {{"service_type", to_string(EngineKind::infinilm_rust)}, {"path", path}}}};
    return {};
  }
  json sections;
  if (auto error = FlatFile(file, places).read(sections)) return *std::move(error);
  file = std::move(sections);
  return {};
}

}  // namespace svc::agent
