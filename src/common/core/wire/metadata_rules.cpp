#include "common/core/wire/metadata_rules.hpp"

#include <nlohmann/json.hpp>

#include "common/core/json_reader.hpp"

namespace svc::wire {
namespace {

using nlohmann::json;

constexpr std::size_t kShownOfValue = 100;

std::string text_of_json(const json& value) { return value.dump(-1, ' ', false, json::error_handler_t::replace); }

}  // namespace

Result<void> check_metadata(const json& metadata, const std::string& path) {
  JsonReader reader(metadata, path);
  if (auto error = reader.error()) return *std::move(error);
  const std::string text = text_of_json(metadata);
  if (text.size() > kMaxMetadataBytes) {
    return invalid("'" + path + "' must be at most 64 KiB as JSON, got " + std::to_string(text.size()) + " bytes");
  }
  if (!parse_json(text, JsonLimits{kMaxMetadataDepth})) {
    return invalid("'" + path + "' must not be nested deeper than " + std::to_string(kMaxMetadataDepth) + " levels");
  }
  if (const auto url = metadata.find("health_url"); url != metadata.end() && !url->is_null()) {
    const auto* const given = url->get_ptr<const std::string*>();
    if (given == nullptr) {
      reader.fail("health_url", "must be a string, got " + text_of_json(*url).substr(0, kShownOfValue));
    } else if (const auto problem = url_problem(*given)) {
      reader.fail("health_url", *problem);
    }
  }
  if (auto error = reader.error()) return *std::move(error);
  return {};
}

}  // namespace svc::wire
