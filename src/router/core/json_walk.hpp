// Steps over a JSON document that is read forward (simdjson On Demand). Each returns false when the document cannot be
// followed any further; what is merely of another type ends nothing.
#pragma once

#include <simdjson.h>

#include <string_view>
#include <utility>

namespace svc::router::json_walk {

namespace od = simdjson::ondemand;
// Its members are called through the result: those of the field itself differ from simdjson 3.0 to 3.6.
using Field = simdjson::simdjson_result<od::field>;

// An error of type() means no kind of value: the next step finds out whether it can be skipped.
inline bool is(od::value& value, od::json_type wanted) {
  od::json_type type{};
  return value.type().get(type) == simdjson::SUCCESS && type == wanted;
}

/// `text` is empty when it cannot be unescaped.
inline bool read_string(od::value& value, std::string_view& text) {
  text = {};
  const auto error = value.get_string().get(text);
  if (error != simdjson::SUCCESS) text = {};
  return error == simdjson::SUCCESS || error == simdjson::STRING_ERROR;
}

/// An array or an object as it stands in the body; others are passed over.
template <class Take>
bool read_raw(od::value& value, Take take) {
  std::string_view raw;
  if (is(value, od::json_type::array)) {
    od::array array;
    if (value.get_array().get(array) != simdjson::SUCCESS || array.raw_json().get(raw) != simdjson::SUCCESS) {
      return false;
    }
    take(raw);
  } else if (is(value, od::json_type::object)) {
    od::object object;
    if (value.get_object().get(object) != simdjson::SUCCESS || object.raw_json().get(raw) != simdjson::SUCCESS) {
      return false;
    }
    take(raw);
  }
  return true;
}

/// `read` is given each element of an array.
template <class Read>
bool each(od::value& value, Read read) {
  if (!is(value, od::json_type::array)) return true;
  od::array array;
  if (value.get_array().get(array) != simdjson::SUCCESS) return false;
  for (auto item : array) {
    od::value element;
    if (std::move(item).get(element) != simdjson::SUCCESS) return false;
    if (!read(element)) return false;
  }
  return true;
}

/// `read` is given each name of an object, and its field; it returns false when the document cannot be followed.
template <class Read>
bool fields(od::value& value, Read read) {
  if (!is(value, od::json_type::object)) return true;
  od::object object;
  if (value.get_object().get(object) != simdjson::SUCCESS) return false;
  for (Field field : object) {
    if (field.error() != simdjson::SUCCESS) return false;
    std::string_view name;
    // Names of inner objects decide nothing but a size and a preference.
    if (field.unescaped_key().get(name) != simdjson::SUCCESS) continue;
    if (!read(name, field)) return false;
  }
  return true;
}

}  // namespace svc::router::json_walk
