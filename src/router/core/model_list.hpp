// The models of a fleet as OpenAI's list, and the models that an instance says it serves.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace svc::router {

struct ModelSource {
  const std::vector<std::string>& models;  ///< what it is known to serve
  std::string_view metadata_json;          ///< its `models_list` has the full objects
};

struct ModelEntry {
  std::string id;
  std::string json;  ///< compact object
};

/// One entry per id, by id. The object is that of the first source whose metadata.models_list has one of that id, else
/// {"id","object":"model","created","owned_by":"infinilm"}. An alias of a listed model is an entry of its own: the
/// same object under the alias' id, with "root" naming the model.
[[nodiscard]] std::vector<ModelEntry> merge_models(std::span<const ModelSource> sources,
                                                   const std::map<std::string, std::string, std::less<>>& aliases,
                                                   std::int64_t created);

/// {"object":"list","data":[...]}
[[nodiscard]] std::string model_list_json(std::span<const ModelEntry> models);

/// The ids in an instance's answer to GET /v1/models: {"data":[{"id":...}]} or a bare array; objects or strings.
/// Without duplicates, at most 1000, none longer than 512 bytes; empty when it is something else.
[[nodiscard]] std::vector<std::string> parse_model_ids(std::string_view body);

}  // namespace svc::router
