#include "ctl/core/page_json.hpp"

#include <nlohmann/json.hpp>

#include "common/core/endpoint.hpp"
#include "common/core/json_reader.hpp"

namespace svc::ctl {

using nlohmann::json;

std::optional<json> page_object(std::string_view body) {
  auto parsed = parse_json(body);
  if (!parsed || !parsed->is_object()) return std::nullopt;
  return std::optional<json>(std::in_place, *std::move(parsed));
}

const json* member(const json& object, const char* key) {
  if (!object.is_object()) return nullptr;
  const auto found = object.find(key);
  return found == object.end() || found->is_null() ? nullptr : &*found;
}

std::vector<const json*> objects(const json& object, const char* key) {
  std::vector<const json*> list;
  const json* const found = member(object, key);
  if (found == nullptr || !found->is_array()) return list;
  for (const json& item : *found) {
    if (item.is_object()) list.push_back(&item);
  }
  return list;
}

std::string text(const json& object, const char* key) {
  const json* const found = member(object, key);
  return found != nullptr && found->is_string() ? found->get<std::string>() : "";
}

std::vector<std::string> texts(const json& object, const char* key) {
  std::vector<std::string> list;
  const json* const found = member(object, key);
  if (found == nullptr || !found->is_array()) return list;
  for (const json& item : *found) {
    if (item.is_string()) list.push_back(item.get<std::string>());
  }
  return list;
}

bool flag(const json& object, const char* key) {
  const json* const found = member(object, key);
  return found != nullptr && found->is_boolean() && found->get<bool>();
}

std::optional<double> number(const json& object, const char* key) {
  const json* const found = member(object, key);
  if (found == nullptr || !found->is_number()) return std::nullopt;
  return found->get<double>();
}

std::optional<std::int64_t> integer(const json& object, const char* key) {
  const json* const found = member(object, key);
  if (found == nullptr || !found->is_number_integer()) return std::nullopt;
  return found->get<std::int64_t>();
}

std::uint16_t port(const json& object, const char* key) {
  std::uint16_t value = 0;
  if (const auto given = integer(object, key); given && *given > 0 && *given <= 65535) {
    value = static_cast<std::uint16_t>(*given);
  } else if (!parse_port(text(object, key), value)) {
    value = 0;
  }
  return value;
}

}  // namespace svc::ctl
